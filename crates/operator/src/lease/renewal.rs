//! When the lease was renewed last, seen on the requests themselves: the manager tells a failure only once it has one,
//! and a request that hangs gives none.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, Request};
use kube::{Client, client::Body};
use tokio::time::Instant;

/// The time of the last renewal; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Renewal {
    last: Arc<Mutex<Option<Instant>>>,
}

impl Renewal {
    /// The same client, with its writes noted once they have succeeded.
    pub(super) fn watch(&self, client: Client) -> Client {
        let (namespace, renewal) = (client.default_namespace().to_owned(), self.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, renewal) = (client.clone(), renewal.clone());
            async move {
                // The renewal's time was taken before it is sent, so this is never later than what the lease says.
                let begin = Instant::now();
                let renews = *request.method() == Method::PATCH;
                let answer = client.send(request).await?;
                if renews && answer.status().is_success() {
                    renewal.note(begin);
                }
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(service, namespace)
    }

    /// Waits until the last renewal is `patience` ago; one that nobody saw counts from the moment of the call.
    pub(super) async fn lapse(&self, patience: Duration) {
        let begin = Instant::now();
        loop {
            let end = self.last().unwrap_or(begin) + patience;
            tokio::time::sleep_until(end).await;
            if self.last().unwrap_or(begin) + patience <= Instant::now() {
                return;
            }
        }
    }

    /// Whether a renewal was seen.
    pub(super) fn is_known(&self) -> bool {
        self.last().is_some()
    }

    fn note(&self, at: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    fn last(&self) -> Option<Instant> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_lapses_when_nothing_has_renewed_it_for_its_time() {
        let (renewal, begin) = (Renewal::default(), Instant::now());
        let second = Duration::from_secs(1);
        let renewing = async {
            for _ in 0..3 {
                tokio::time::sleep(4 * second).await;
                renewal.note(Instant::now());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = renewal.lapse(7 * second) => {}
            () = renewing => {}
        }
        assert_eq!(begin.elapsed().as_secs(), 12 + 7);
    }
}
