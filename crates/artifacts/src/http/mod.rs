//! What every HTTP exchange here shares: TLS roots, retries, bounded bodies, readable failures.

mod address;
mod retry;

pub(crate) use address::{Guard, is_public, private_host, refused_address};
pub use retry::RetryPolicy;
pub(crate) use retry::{Fault, Retry};

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use tokio::time::timeout;

use crate::error::{Error, Result, chain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ERROR_BODY: usize = 8 << 10;
const MAX_DETAIL: usize = 300;

/// A client that trusts the machine's certificates (Mozilla's where it has none) and the given ones.
pub(crate) fn client(extra_ca: Option<&[u8]>, redirect: Policy, guard: Option<Guard>) -> Result<Client> {
    // Fails when the process chose a provider before; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = ClientBuilder::new()
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect)
        .tls_certs_only(roots(extra_ca)?);
    if let Some(guard) = guard {
        builder = builder.dns_resolver(Arc::new(guard));
    }
    builder.build().map_err(|e| Error::invalid("HTTP client settings", chain(&e)))
}

fn roots(extra_ca: Option<&[u8]>) -> Result<Vec<Certificate>> {
    let native = rustls_native_certs::load_native_certs().certs;
    let known = if native.is_empty() { webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec() } else { native };
    let mut roots: Vec<Certificate> =
        known.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
    if let Some(pem) = extra_ca {
        let extra = Certificate::from_pem_bundle(pem).map_err(|e| Error::invalid("CA bundle", chain(&e)))?;
        if extra.is_empty() {
            return Err(Error::invalid("CA bundle", "it holds no PEM certificate"));
        }
        roots.extend(extra);
    }
    Ok(roots)
}

/// Sends one request and waits at most `stall` for the answer's head; overload and failure of the server are faults.
pub(crate) async fn send(request: RequestBuilder, stall: Duration) -> std::result::Result<Response, Fault> {
    match timeout(stall, request.send()).await {
        Ok(Ok(response)) => busy(response).await,
        Ok(Err(e)) => Err(transport(&e)),
        Err(_) => Err(Fault::transient(format!("no answer within {} s", stall.as_secs()))),
    }
}

/// Turns 408, 429 and 5xx into a fault that is worth a retry.
pub(crate) async fn busy(response: Response) -> std::result::Result<Response, Fault> {
    let status = response.status();
    let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED);
    if !again {
        return Ok(response);
    }
    let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let detail = detail(response).await;
    Err(Fault::Transient {
        reason: format!("status {status}{detail}"),
        after: after.map(Duration::from_secs),
        finally: None,
    })
}

/// A failure below HTTP; a refused address is final, all else may pass.
pub(crate) fn transport(error: &reqwest::Error) -> Fault {
    if let Some(refused) = refused_address(error) {
        return Fault::Final(refused);
    }
    if error.is_builder() || error.is_redirect() {
        return Fault::Final(Error::not_allowed("this request", chain(error)));
    }
    Fault::transient(chain(error))
}

/// The next piece of a body, waiting at most `stall` for it.
pub(crate) async fn next_chunk(
    response: &mut Response,
    stall: Duration,
) -> std::result::Result<Option<Bytes>, Fault> {
    match timeout(stall, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(e)) => Err(Fault::transient(chain(&e))),
        Err(_) => Err(Fault::transient(format!("nothing came for {} s", stall.as_secs()))),
    }
}

/// A whole body of at most `limit` bytes.
pub(crate) async fn small_body(
    mut response: Response,
    what: &str,
    limit: u64,
    stall: Duration,
) -> std::result::Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = next_chunk(&mut response, stall).await? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(Fault::Final(Error::too_many_bytes(what, limit)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error for an answer that is neither success nor worth a retry.
pub(crate) async fn refusal(host: &str, action: &str, what: &str, response: Response) -> Error {
    let status = response.status();
    let detail = detail(response).await;
    let (host, action) = (host.to_owned(), action.to_owned());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Unauthorized {
            host,
            action,
            status: status.as_u16(),
            hint: format!("give credentials that may do this{detail}"),
        },
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::not_found(format!("{what} on {host}"), detail),
        _ => Error::Protocol { host, action, reason: format!("status {status}{detail}") },
    }
}

/// The beginning of an error's body as `: text`, without anything that could disturb a terminal or a log.
async fn detail(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BODY {
        match next_chunk(&mut response, CONNECT_TIMEOUT).await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            _ => break,
        }
    }
    body.truncate(MAX_ERROR_BODY);
    let text = registry_errors(&body).unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DETAIL).collect();
    let clean = clean.trim();
    if clean.is_empty() || clean.starts_with('<') { String::new() } else { format!(": {clean}") }
}

/// OCI Distribution's error list as one line.
fn registry_errors(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let lines = value["errors"].as_array()?.iter().map(|error| {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("code"), text("message"))
    });
    Some(lines.collect::<Vec<_>>().join("; "))
}
