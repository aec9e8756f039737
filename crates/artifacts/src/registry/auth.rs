//! Answers to a registry's challenge: basic credentials, or a bearer token from the realm that it names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Registry;
use super::credentials::Login;
use crate::error::Error;
use crate::http::{self, Fault};

const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// What is sent as authorization at present.
#[derive(Debug)]
pub(super) struct Session {
    login: Option<Login>,
    header: Mutex<Option<Secret>>,
}

#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Session {
    pub(super) const fn new(login: Option<Login>) -> Self {
        Self { login, header: Mutex::new(None) }
    }

    pub(super) fn header(&self) -> Option<String> {
        let header = self.header.lock().unwrap_or_else(PoisonError::into_inner);
        header.as_ref().map(|secret| secret.0.clone())
    }

    fn set(&self, header: String) {
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = Some(Secret(header));
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// Obtains what a 401 answer asks for, to be sent from now on.
    pub(super) async fn answer_challenge(&self, action: &str, response: Response) -> Result<(), Fault> {
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<Challenge> = challenges.filter_map(|value| parse(value.to_str().ok()?)).collect();
        let find = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        if let Some(bearer) = find("bearer") {
            let token = self.token(&bearer.parameters).await?;
            self.shared.session.set(format!("Bearer {token}"));
            return Ok(());
        }
        match (find("basic"), &self.shared.session.login) {
            (Some(_), Some(login)) => {
                self.shared.session.set(login.basic());
                Ok(())
            }
            _ => Err(self.refusal(action, self.repository(), response).await.into()),
        }
    }

    async fn token(&self, parameters: &BTreeMap<String, String>) -> Result<String, Fault> {
        const ACTION: &str = "asking for a token";
        let realm = self.realm(parameters)?;
        let realm_host = super::authority(&realm);
        let mut request = self.request(Method::GET, realm);
        if let Some(login) = &self.shared.session.login {
            request = request.header(reqwest::header::AUTHORIZATION, login.basic());
        }
        let stall = self.shared.retry.stall;
        let response = http::send(request, stall).await?;
        if response.status() != StatusCode::OK {
            return Err(http::refusal(&realm_host, ACTION, "the token service", response).await.into());
        }
        let body = http::small_body(response, "the token answer", MAX_TOKEN_BYTES, stall).await?;
        let token: Option<Token> = serde_json::from_slice(&body).ok();
        let token = token.and_then(|Token { token, access_token }| token.or(access_token));
        token.ok_or_else(|| self.protocol(ACTION, format!("{realm_host} sent no token")).into())
    }

    /// The URL of the token service; never plain HTTP to a host that is not listed for it, since it gets the password.
    fn realm(&self, parameters: &BTreeMap<String, String>) -> Result<Url, Error> {
        let realm = parameters.get("realm").map(String::as_str).unwrap_or_default();
        let mut url = Url::parse(realm).map_err(|e| {
            self.protocol("asking for a token", format!("the realm {realm:?} is no URL: {e}"))
        })?;
        self.check_scheme(&url)?;
        let default_scope = format!("repository:{}:pull,push", self.repository());
        let scope = parameters.get("scope").unwrap_or(&default_scope);
        let mut query = url.query_pairs_mut();
        if let Some(service) = parameters.get("service") {
            query.append_pair("service", service);
        }
        // Several scopes are separated by spaces in the challenge and repeated in the query.
        scope.split(' ').for_each(|scope| {
            query.append_pair("scope", scope);
        });
        drop(query);
        Ok(url)
    }
}

/// Reads one `WWW-Authenticate` value: a scheme and `name="value"` pairs (RFC 9110, 11.6.1).
fn parse(text: &str) -> Option<Challenge> {
    let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let mut parameters = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        let Some((name, tail)) = rest.split_once('=') else { break };
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => tail.split_once(',').unwrap_or((tail, "")),
        };
        parameters.insert(name.trim().to_ascii_lowercase(), value.to_owned());
        rest = tail;
    }
    Some(Challenge { scheme: scheme.to_ascii_lowercase(), parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = parse(
            r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push""#,
        );
        let bearer = bearer.unwrap();
        assert_eq!(bearer.scheme, "bearer");
        assert_eq!(bearer.parameters["scope"], "repository:a/b:pull,push");
        assert_eq!(bearer.parameters["realm"], "https://auth.example/token");
        assert_eq!(parse("Basic realm=x").unwrap().parameters["realm"], "x");
        assert_eq!(parse("Basic").unwrap().parameters.len(), 0);
        assert_eq!(parse("Bearer realm=\"unterminated"), None);
    }
}
