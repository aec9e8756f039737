//! The operator's own port: `/metrics`, `/healthz`, `/readyz`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{error::Error, metrics::Metrics};

/// Whether the operator is ready: its caches are complete, or it stands by for a leader. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    ready: Arc<AtomicBool>,
}

impl Health {
    /// The caches are complete.
    pub(crate) fn synced(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Another replica may lead; this one is ready to take over.
    pub fn standing_by(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Whether the operator is ready.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// Answers on a port until `shutdown`.
///
/// # Errors
/// When the port cannot be opened.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let listen = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let server = axum::serve(listener, router(metrics, health));
    server.with_graceful_shutdown(shutdown.cancelled_owned()).await.map_err(listen)
}

fn router(metrics: Metrics, health: Health) -> Router {
    let ready = |State(health): State<Health>| async move {
        if health.is_ready() {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "starting")
        }
    };
    Router::new()
        .route("/readyz", get(ready))
        .with_state(health)
        .route("/healthz", get(|| async { "alive" }))
        .merge(Router::new().route("/metrics", get(text)).with_state(metrics))
}

async fn text(State(metrics): State<Metrics>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    async fn status(health: &Health, path: &str) -> StatusCode {
        let router = router(Metrics::default(), health.clone());
        router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn it_is_alive_at_once_and_ready_when_it_says_so() {
        let health = Health::default();
        assert_eq!(status(&health, "/healthz").await, StatusCode::OK);
        assert_eq!(status(&health, "/metrics").await, StatusCode::OK);
        assert_eq!(status(&health, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        health.standing_by();
        assert_eq!(status(&health, "/readyz").await, StatusCode::OK);
    }
}
