//! A layer under the kube client that counts requests and breaks those that a test names.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service};

use crate::{
    body::Cuttable,
    request::{Ask, Verb},
};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 409: somebody else was first.
    Conflict,
    /// 429, with the seconds to wait.
    TooManyRequests(u32),
    /// 500: the request did not reach the store.
    Internal,
    /// The request was done, and the answer is lost.
    AnswerLost,
    /// The connection breaks before anything is done.
    Disconnect,
    /// The answer comes late.
    Delay(Duration),
}

/// Which requests a fault befalls.
#[derive(Debug, Clone)]
pub struct On {
    verb: Option<Verb>,
    resource: Option<String>,
    skip: usize,
    times: usize,
}

impl On {
    /// The next request.
    pub fn any() -> Self {
        Self { verb: None, resource: None, skip: 0, times: 1 }
    }

    /// Requests of a verb.
    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Requests for a resource. Example: `modeldeployments/status`.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Lets so many pass first.
    #[must_use]
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Befalls so many, one after the other.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    fn befalls(&mut self, ask: &Ask) -> bool {
        let wanted = self.verb.is_none_or(|verb| verb == ask.verb)
            && self.resource.as_ref().is_none_or(|resource| *resource == ask.resource);
        if !wanted || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

/// The faults of one client, and what it asked so far; clones share both.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    planned: Vec<(On, Fault)>,
    befallen: usize,
    counts: BTreeMap<Ask, usize>,
    cut: CancellationToken,
}

impl Faults {
    /// Plans a fault.
    pub fn plan(&self, on: On, fault: Fault) {
        self.lock().planned.push((on, fault));
    }

    /// How many requests were befallen by a fault so far.
    pub fn befallen(&self) -> usize {
        self.lock().befallen
    }

    /// Breaks every answer that is under way, watches above all.
    pub fn cut_watches(&self) {
        std::mem::take(&mut self.lock().cut).cancel();
    }

    /// Everything that was asked so far.
    pub fn counts(&self) -> BTreeMap<Ask, usize> {
        self.lock().counts.clone()
    }

    /// How often a verb was asked of a resource.
    pub fn count(&self, verb: Verb, resource: &str) -> usize {
        let ask = Ask { verb, resource: resource.to_owned() };
        self.lock().counts.get(&ask).copied().unwrap_or(0)
    }

    /// Reads and writes so far, watches and leases left out: what must not grow at rest.
    pub fn work(&self) -> usize {
        let rests = |ask: &Ask| ask.verb == Verb::Watch || ask.resource.starts_with("leases");
        self.lock().counts.iter().filter(|(ask, _)| !rests(ask)).map(|(_, count)| count).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, ask: Ask) -> (Option<Fault>, CancellationToken) {
        let mut shared = self.lock();
        let found = shared.planned.iter_mut().find_map(|(on, fault)| on.befalls(&ask).then_some(*fault));
        shared.befallen += usize::from(found.is_some());
        *shared.counts.entry(ask).or_default() += 1;
        (found, shared.cut.clone())
    }
}

/// The layer that puts [`Faults`] under a client.
#[derive(Debug, Clone)]
pub struct FaultLayer(pub Faults);

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FaultService { inner, faults: self.0.clone() }
    }
}

/// The service of [`FaultLayer`].
#[derive(Debug)]
pub struct FaultService<S> {
    inner: S,
    faults: Faults,
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl<S, B> Service<Request<Body>> for FaultService<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let uri = request.uri();
        let ask = Ask::read(request.method(), uri.path(), uri.query().unwrap_or_default());
        let (fault, cut) = self.faults.meet(ask);
        let refused = match fault {
            Some(Fault::Conflict) => Some(refusal(StatusCode::CONFLICT, "Conflict", 0)),
            Some(Fault::TooManyRequests(wait)) => {
                Some(refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", wait))
            }
            Some(Fault::Internal) => Some(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", 0)),
            Some(Fault::Disconnect) => return Box::pin(async { Err(lost()) }),
            Some(Fault::AnswerLost | Fault::Delay(_)) | None => None,
        };
        if let Some(refused) = refused {
            return Box::pin(async { Ok(refused) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            if let Some(Fault::Delay(delay)) = fault {
                tokio::time::sleep(delay).await;
            }
            let answer = answer.await?;
            if fault == Some(Fault::AnswerLost) {
                return Err(lost());
            }
            Ok(answer.map(|body| Cuttable::new(body, cut).boxed_unsync()))
        })
    }
}

fn lost() -> BoxError {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "broken by a test").into()
}

fn refusal(code: StatusCode, reason: &str, wait: u32) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused by a test", "reason": reason, "code": code.as_u16(),
        "details": { "retryAfterSeconds": wait },
    });
    let body = Full::new(Bytes::from(status.to_string())).map_err(BoxError::from).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(verb: Verb, resource: &str) -> Ask {
        Ask { verb, resource: resource.into() }
    }

    #[test]
    fn a_fault_befalls_exactly_the_named_requests() {
        let faults = Faults::default();
        let on = On::any().verb(Verb::Create).resource("jobs").after(1).times(2);
        faults.plan(on, Fault::Conflict);
        let met: Vec<_> = [
            ask(Verb::Create, "pods"),
            ask(Verb::Create, "jobs"),
            ask(Verb::Patch, "jobs"),
            ask(Verb::Create, "jobs"),
            ask(Verb::Create, "jobs"),
            ask(Verb::Create, "jobs"),
        ]
        .into_iter()
        .map(|ask| faults.meet(ask).0.is_some())
        .collect();
        assert_eq!(met, [false, false, false, true, true, false]);
        assert_eq!((faults.befallen(), faults.count(Verb::Create, "jobs"), faults.work()), (2, 4, 6));
    }

    #[test]
    fn watches_and_leases_are_no_work() {
        let faults = Faults::default();
        for ask in [ask(Verb::Watch, "jobs"), ask(Verb::Patch, "leases"), ask(Verb::Get, "leases")] {
            faults.meet(ask);
        }
        assert_eq!(faults.work(), 0);
    }

    #[test]
    fn a_cut_breaks_what_is_under_way_and_nothing_later() {
        let faults = Faults::default();
        let (_, before) = faults.meet(ask(Verb::Watch, "jobs"));
        faults.cut_watches();
        let (_, after) = faults.meet(ask(Verb::Watch, "jobs"));
        assert!(before.is_cancelled() && !after.is_cancelled());
    }
}
