//! The events of one watch, as every follower takes them: until a shutdown, with troubles counted and logged.

use futures::{StreamExt, stream::BoxStream};
use kube::runtime::watcher::{self, Event};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// The watch broke; it is begun again by itself, later each time.
#[derive(Debug)]
pub(super) struct Broken;

/// A watch under way.
pub(super) struct Events<'a, K> {
    kind: &'static str,
    stream: BoxStream<'a, Result<Event<K>, watcher::Error>>,
    metrics: &'a Metrics,
    shutdown: &'a CancellationToken,
}

impl<'a, K> Events<'a, K> {
    /// The events of a watch on a kind; the kind is for the log alone.
    pub(super) fn new(
        kind: &'static str,
        stream: impl futures::Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'a,
        metrics: &'a Metrics,
        shutdown: &'a CancellationToken,
    ) -> Self {
        Self { kind, stream: stream.boxed(), metrics, shutdown }
    }

    /// The next event, or that the watch broke; `None` at the shutdown.
    pub(super) async fn next(&mut self) -> Option<Result<Event<K>, Broken>> {
        let event = tokio::select! {
            () = self.shutdown.cancelled() => return None,
            event = self.stream.next() => event?,
        };
        Some(event.map_err(|error| {
            self.metrics.failed("Watch");
            tracing::warn!(kind = self.kind, %error, "a watch broke and is begun again");
            Broken
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;

    #[tokio::test]
    async fn a_broken_watch_is_counted_and_goes_on_until_the_shutdown() {
        let (metrics, shutdown) = (Metrics::default(), CancellationToken::new());
        let all = [Err(watcher::Error::NoResourceVersion), Ok(Event::<Pod>::InitDone)];
        let endless = futures::stream::iter(all).chain(futures::stream::pending());
        let mut events = Events::new("Pod", endless, &metrics, &shutdown);
        assert!(matches!(events.next().await, Some(Err(Broken))));
        assert!(metrics.render().contains(r#"slipway_operator_errors_total{category="Watch"} 1"#));
        assert!(matches!(events.next().await, Some(Ok(Event::InitDone))));
        shutdown.cancel();
        assert!(events.next().await.is_none());
    }
}
