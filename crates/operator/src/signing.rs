//! The key with which the Jobs of a namespace sign what they record.
//!
//! Each namespace has its own, in a Secret that job pods mount. The operator makes it before the first Job and never reads
//! it: it knows no key, and one that is deleted is made anew.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;
use rustls::crypto::ring::default_provider;
use slipway_api::names;
use slipway_plan::Desired;

use crate::{error::Error, writer::Writer};

/// Bytes of a key.
const LENGTH: usize = 32;

/// Makes the key of a namespace that has none.
pub(crate) async fn ensure(writer: &Writer, namespace: &str) -> Result<(), Error> {
    let mut key = vec![0; LENGTH];
    default_provider().secure_random.fill(&mut key).map_err(|_| Error::NoRandomness)?;
    let secret = secret(key);
    // Looked for first: where a quota is used up, a create is refused before it is known to be needless.
    if writer.holder(namespace, &secret).await?.is_some() {
        return Ok(());
    }
    match writer.create(namespace, &secret).await {
        Ok(_) => {
            tracing::info!(kind = secret.kind, name = secret.name, namespace, "created");
            Ok(())
        }
        // Another object of the namespace, or another replica, was faster.
        Err(error) if error.is_already_exists() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The Secret of a key; no object owns it, since all of the namespace share it.
fn secret(key: Vec<u8>) -> Desired {
    let labels = [(names::MANAGED_BY_LABEL, names::MANAGED_BY), (names::NAME_LABEL, names::MANAGED_BY)];
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(names::SIGNING_SECRET.into()),
            labels: Some(labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        },
        data: Some([(names::SIGNING_FIELD.to_owned(), ByteString(key))].into()),
        immutable: Some(true),
        ..Secret::default()
    };
    Desired {
        api_version: "v1".into(),
        kind: "Secret".into(),
        name: names::SIGNING_SECRET.into(),
        create_only: true,
        body: serde_json::to_value(secret).expect("strings and bytes always have a JSON form"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Method, Request, Response, StatusCode};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;
    use crate::metrics::Metrics;

    type Asked = Arc<Mutex<Vec<(Method, Value)>>>;

    /// An API server that answers a look and a create with these codes, and what it was asked.
    fn writer(look: u16, create: u16) -> (Writer, Asked) {
        let asked = Asked::default();
        let noted = Arc::clone(&asked);
        let answer = move |request: Request<Body>| {
            let noted = Arc::clone(&noted);
            async move {
                let (parts, body) = request.into_parts();
                assert!(parts.uri.path().starts_with("/api/v1/namespaces/vision/secrets"), "{}", parts.uri);
                let bytes = body.collect_bytes().await?;
                let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let code = if parts.method == Method::GET { look } else { create };
                noted.lock().unwrap().push((parts.method, body.clone()));
                let answer = match code {
                    200 => json!({ "metadata": { "name": "slipway-signing" } }),
                    201 => body,
                    code => {
                        json!({ "status": "Failure", "message": "no", "code": code, "reason": reason(code) })
                    }
                };
                let status = StatusCode::from_u16(code).unwrap();
                let response =
                    Response::builder().status(status).body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, kube::Error>(response.unwrap())
            }
        };
        let client = kube::Client::new(tower::service_fn(answer), "vision");
        (Writer { client, metrics: Metrics::default() }, asked)
    }

    fn reason(code: u16) -> &'static str {
        match code {
            404 => "NotFound",
            409 => "AlreadyExists",
            _ => "Forbidden",
        }
    }

    /// The Secret that was made.
    fn made(asked: &Asked) -> Secret {
        let asked = asked.lock().unwrap();
        let (method, body) = asked.last().unwrap();
        assert_eq!(*method, Method::POST);
        serde_json::from_value(body.clone()).unwrap()
    }

    #[tokio::test]
    async fn a_namespace_without_a_key_gets_one_that_nobody_else_has() {
        let mut keys = Vec::new();
        for _ in 0..2 {
            let (writer, asked) = writer(404, 201);
            ensure(&writer, "vision").await.unwrap();
            let secret = made(&asked);
            assert_eq!(secret.metadata.name.as_deref(), Some("slipway-signing"));
            assert_eq!((secret.metadata.owner_references, secret.immutable), (None, Some(true)));
            let ByteString(key) = secret.data.unwrap().remove("key").unwrap();
            assert_eq!(key.len(), 32);
            keys.push(key);
        }
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| key.iter().any(|byte| *byte != 0)));
    }

    #[tokio::test]
    async fn a_key_that_is_there_stays() {
        let (writer, asked) = writer(200, 403);
        ensure(&writer, "vision").await.unwrap();
        assert_eq!(asked.lock().unwrap().len(), 1, "nothing is made");
    }

    #[tokio::test]
    async fn of_two_that_make_a_key_at_once_the_first_wins() {
        let (writer, asked) = writer(404, 409);
        ensure(&writer, "vision").await.unwrap();
        assert_eq!(asked.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_made_is_an_error_that_names_it() {
        for (look, create) in [(403, 201), (404, 403)] {
            let error = ensure(&writer(look, create).0, "vision").await.unwrap_err();
            assert_eq!(error.category(), "Forbidden");
            assert!(error.to_string().contains("Secret slipway-signing"), "{error}");
        }
    }
}
