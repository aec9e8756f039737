//! `https://`: one file from a web server, with bounded redirects, size and reach.

use std::net::IpAddr;
use std::path::Path;

use reqwest::header::{AUTHORIZATION, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::{FetchOptions, Fetched, FetchedFile, check_wanted};
use crate::companions;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::http::{self, Fault, Guard, Retry, RetryPolicy};
use crate::landing::Landing;
use crate::path::RelPath;
use crate::registry::Sink;

const ACTION: &str = "fetching a file";

/// Which URLs may be fetched and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsPolicy {
    /// Let `http://` through.
    pub allow_http: bool,
    /// Let private, loopback and link-local addresses through.
    pub allow_private: bool,
    /// The hosts that may be asked, exactly or as `*.example.com`; empty lets every host through.
    pub allowed_hosts: Vec<String>,
    /// How many redirects are followed; each one is checked like the first URL.
    pub max_redirects: usize,
    /// Sent to the host of the first URL only.
    pub authorization: Option<Authorization>,
    /// Certificates in PEM form that are trusted besides the machine's own.
    pub extra_ca: Option<Vec<u8>>,
    /// How often and how patiently requests are repeated.
    pub retry: RetryPolicy,
}

impl Default for HttpsPolicy {
    /// Public hosts, TLS only, five redirects.
    fn default() -> Self {
        Self {
            allow_http: false,
            allow_private: false,
            allowed_hosts: Vec::new(),
            max_redirects: 5,
            authorization: None,
            extra_ca: None,
            retry: RetryPolicy::default(),
        }
    }
}

/// The value of an `Authorization` header; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(String);

impl Authorization {
    /// A bearer token.
    pub fn bearer(token: &str) -> Self {
        Self(format!("Bearer {token}"))
    }

    /// A user name and a password.
    pub fn basic(user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self(format!("Basic {pair}"))
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization(..)")
    }
}

impl HttpsPolicy {
    /// Refuses a URL by scheme, host or literal address; what a name resolves to is checked when it is connected.
    fn check(&self, url: &Url) -> Result<()> {
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            scheme => {
                return Err(Error::not_allowed(format!("{scheme}://{host}"), "only https:// is fetched"));
            }
        }
        if !self.allowed_hosts.is_empty()
            && !self.allowed_hosts.iter().any(|allowed| host_matches(allowed, host))
        {
            let reason = format!("only these hosts are: {}", self.allowed_hosts.join(", "));
            return Err(Error::not_allowed(format!("host {host}"), reason));
        }
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if !self.allow_private && literal.is_some_and(|address| !http::is_public(address)) {
            return Err(http::private_host(host));
        }
        Ok(())
    }
}

fn host_matches(allowed: &str, host: &str) -> bool {
    match allowed.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|head| head.ends_with('.') && head.len() > 1),
        None => allowed.eq_ignore_ascii_case(host),
    }
}

struct Download<'a> {
    client: Client,
    policy: &'a HttpsPolicy,
    url: &'a Url,
    limit: u64,
}

/// Fetches one file; it is named as the spec says, else as the URL's last part.
pub(super) async fn fetch(
    url: &Url,
    file: Option<&RelPath>,
    wanted: Option<&Digest>,
    dest: &Path,
    options: &FetchOptions,
) -> Result<Fetched> {
    let policy = &options.https;
    policy.check(url)?;
    let path = file.cloned().or_else(|| last_part(url)).map_or_else(|| "model".parse(), Ok)?;
    let guard = (!policy.allow_private).then_some(Guard);
    let client = http::client(policy.extra_ca.as_deref(), Policy::none(), guard)?;
    let download = Download { client, policy, url, limit: options.limits.max_bytes };

    let landing = Landing::new(dest)?;
    let place = landing.place(&path)?;
    options.progress.start(path.file_name(), None);
    let got = download.run(&place, options).await;
    options.progress.finish();
    let (digest, size) = got?;
    check_wanted(&shown(url), wanted, &digest, None)?;
    let needed = companions::paths(options.companions, &path, &place)?;
    if !needed.is_empty() {
        let names: Vec<_> = needed.iter().map(RelPath::as_str).collect();
        let reason = format!(
            "it keeps tensors in {}, and a URL brings one file: `slipway push` takes both to a registry, or export the \
             model as one file",
            names.join(", ")
        );
        return Err(Error::invalid(shown(url), reason));
    }
    landing.settle([&path].into_iter())?;
    Ok(Fetched { files: vec![FetchedFile { path: path.clone(), size, digest }], entry: Some(path), digest })
}

impl Download<'_> {
    async fn run(&self, place: &Path, options: &FetchOptions) -> Result<(Digest, u64)> {
        let mut sink = Sink::create(place, &options.progress).await?;
        let host = self.url.host_str().unwrap_or_default();
        let mut retry = Retry::new(&self.policy.retry, host, ACTION);
        while let Err(fault) = self.attempt(&mut sink).await {
            retry.after(fault).await?;
            sink.restart().await?;
        }
        sink.finish().await
    }

    async fn attempt(&self, sink: &mut Sink<'_>) -> std::result::Result<(), Fault> {
        let mut response = self.open().await?;
        let promised = response.content_length();
        if promised.is_some_and(|length| length > self.limit) {
            return Err(self.too_large());
        }
        while let Some(chunk) = http::next_chunk(&mut response, self.policy.retry.stall).await? {
            if sink.length() + chunk.len() as u64 > self.limit {
                return Err(self.too_large());
            }
            sink.take(&chunk).await?;
        }
        Ok(())
    }

    /// Follows redirects by hand, so that each target passes the same checks.
    async fn open(&self) -> std::result::Result<Response, Fault> {
        let mut url = self.url.clone();
        for _ in 0..=self.policy.max_redirects {
            self.policy.check(&url)?;
            let mut request = self.client.get(url.clone());
            if let Some(Authorization(header)) = &self.policy.authorization
                && url.origin() == self.url.origin()
            {
                request = request.header(AUTHORIZATION, header);
            }
            let response = http::send(request, self.policy.retry.stall).await?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                status if status.is_redirection() => url = self.target(&response)?,
                _ => {
                    let host = url.host_str().unwrap_or_default();
                    return Err(http::refusal(host, ACTION, &shown(&url), response).await.into());
                }
            }
        }
        let reason = format!("it redirects more than {} times", self.policy.max_redirects);
        Err(Error::not_allowed(shown(self.url), reason).into())
    }

    fn target(&self, response: &Response) -> Result<Url> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| response.url().join(location).ok());
        target.ok_or_else(|| Error::Protocol {
            host: self.url.host_str().unwrap_or_default().to_owned(),
            action: ACTION.to_owned(),
            reason: format!("status {} without a usable Location", response.status()),
        })
    }

    fn too_large(&self) -> Fault {
        Error::too_many_bytes(shown(self.url), self.limit).into()
    }
}

/// The URL without its query, which may hold a signature.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

fn last_part(url: &Url) -> Option<RelPath> {
    let part = url.path_segments()?.next_back()?;
    if part.contains('%') { None } else { part.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(policy: &HttpsPolicy, url: &str) -> bool {
        policy.check(&url.parse().unwrap()).is_err()
    }

    #[test]
    fn schemes_hosts_and_literal_addresses_are_checked() {
        let open = HttpsPolicy::default();
        assert!(!refused(&open, "https://models.example/a"));
        for url in [
            "http://models.example/a",
            "ftp://models.example/a",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            assert!(refused(&open, url), "{url}");
        }
        let listed = HttpsPolicy { allowed_hosts: vec!["a.example".into(), "*.b.example".into()], ..open };
        for url in ["https://a.example/", "https://x.b.example/", "https://y.x.b.example/"] {
            assert!(!refused(&listed, url), "{url}");
        }
        for url in ["https://b.example/", "https://xb.example/", "https://a.example.evil.example/"] {
            assert!(refused(&listed, url), "{url}");
        }
    }

    #[test]
    fn signed_queries_stay_out_of_messages() {
        assert_eq!(
            shown(&"https://h.example/m.onnx?sig=s3cret#x".parse().unwrap()),
            "https://h.example/m.onnx"
        );
        assert!(!format!("{:?}", Authorization::bearer("s3cret")).contains("s3cret"));
    }
}
