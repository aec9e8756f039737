//! Sockets: one port for REST and gRPC, one for metrics, and the orderly end of both.

mod metered;
mod metrics_port;
mod service;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use metered::Inflow;
pub(crate) use metrics_port::serve_metrics;

use crate::app::App;
use crate::config::Drain;
use service::Protocols;

/// Pause after a failed `accept`, which fails at once again while file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How far the end has come; each phase follows from the one before.
#[derive(Clone, Debug, Default)]
struct Phases {
    /// Answers say `Connection: close`; HTTP/2 clients are told to go.
    draining: CancellationToken,
    /// No connection is taken any more; idle ones are closed.
    closing: CancellationToken,
    /// What still runs is cut off.
    cut: CancellationToken,
}

/// Serves both protocols until `shutdown`, then drains; returns when the last connection has ended.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, drain: Drain, shutdown: CancellationToken) {
    let phases = Phases::default();
    let connections = TaskTracker::new();
    let acceptor = accept(&listener, &app, &phases, &connections);
    let end = async {
        shutdown.cancelled().await;
        tracing::info!(connections = connections.len(), "draining");
        app.drain();
        phases.draining.cancel();
        connections.close();
        let _ = tokio::time::timeout(drain.linger.min(drain.timeout), connections.wait()).await;
        phases.closing.cancel();
    };
    futures::join!(acceptor, end);
    drop(listener);
    let rest = drain.timeout.saturating_sub(drain.linger);
    if tokio::time::timeout(rest, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain took too long; cutting what is left");
        phases.cut.cancel();
        connections.wait().await;
    }
}

async fn accept(listener: &TcpListener, app: &Arc<App>, phases: &Phases, connections: &TaskTracker) {
    let protocols = Protocols::new(app);
    let builder = builder(app.limits.read_timeout);
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = phases.closing.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let task = connection(stream, builder.clone(), protocols.clone(), phases.clone());
                connections.spawn(task);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn builder(read_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(read_timeout);
    builder.http2().timer(TokioTimer::new()).adaptive_window(true).max_concurrent_streams(1024);
    builder
}

async fn connection(
    stream: TcpStream,
    builder: auto::Builder<TokioExecutor>,
    protocols: Protocols,
    phases: Phases,
) {
    // Answers are written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let is_http2 = Arc::new(AtomicBool::new(false));
    let draining = phases.draining.clone();
    let seen = Arc::clone(&is_http2);
    let service = hyper::service::service_fn(move |request| {
        seen.store(request.version() == http::Version::HTTP_2, Ordering::Relaxed);
        protocols.clone().answer(request, draining.is_cancelled())
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // HTTP/2 can tell a client to go without losing what is on its way; for an HTTP/1.1 connection that is only
    // safe after an answer that says so, hence the linger.
    let leave = async {
        phases.draining.cancelled().await;
        if !is_http2.load(Ordering::Relaxed) {
            phases.closing.cancelled().await;
        }
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        () = leave => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = phases.cut.cancelled() => {}
    }
}
