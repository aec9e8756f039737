//! The operator's own port: `/metrics`, `/healthz`, `/readyz`.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
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

/// How far the operator is. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<Turn>>,
}

/// How far the operator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Turn {
    /// The lease was not looked at yet.
    #[default]
    Starting,
    /// Another replica may lead; this one is ready to take over.
    StandingBy,
    /// This replica leads, and its caches are not complete yet.
    Syncing,
    /// This replica leads, and looks after all objects.
    Synced,
}

impl Health {
    /// The caches are being filled: nothing is looked after yet.
    pub(crate) fn syncing(&self) {
        self.set(Turn::Syncing);
    }

    /// The caches are complete.
    pub(crate) fn synced(&self) {
        self.set(Turn::Synced);
    }

    /// Another replica may lead; this one is ready to take over.
    pub fn standing_by(&self) {
        self.set(Turn::StandingBy);
    }

    /// Whether the operator does what is its turn: it looks after all objects, or stands by.
    pub fn is_ready(&self) -> bool {
        matches!(self.get(), Turn::StandingBy | Turn::Synced)
    }

    /// How far it is, in a word.
    fn word(&self) -> &'static str {
        match self.get() {
            Turn::Starting => "starting",
            Turn::StandingBy => "standing by",
            Turn::Syncing => "syncing",
            Turn::Synced => "ready",
        }
    }

    fn set(&self, state: Turn) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn get(&self) -> Turn {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let code = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (code, health.word())
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
    async fn it_is_alive_at_once_and_ready_while_it_does_what_is_its_turn() {
        let health = Health::default();
        assert_eq!(status(&health, "/healthz").await, StatusCode::OK);
        assert_eq!(status(&health, "/metrics").await, StatusCode::OK);
        assert_eq!(status(&health, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        health.standing_by();
        assert_eq!(status(&health, "/readyz").await, StatusCode::OK);
        health.syncing();
        assert_eq!(
            status(&health, "/readyz").await,
            StatusCode::SERVICE_UNAVAILABLE,
            "it leads, and sees nothing"
        );
        health.synced();
        assert_eq!(status(&health, "/readyz").await, StatusCode::OK);
    }
}
