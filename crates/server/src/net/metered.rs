//! Request bodies that count against what all of them may have on their way in.
//!
//! The queue bounds what waits for the engine; this bounds what has not got that far, so that many slow uploads cannot
//! fill the memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Any error of a body; a refusal for want of room is the protocol's own error.
type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The bytes of all request bodies that are being read, and how many may be.
#[derive(Debug)]
pub(crate) struct Inflow {
    limit: usize,
    taken: AtomicUsize,
}

impl Inflow {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0) }
    }

    /// Takes room for more bytes of a body that holds `own`; one that is alone always gets it.
    fn take(&self, bytes: usize, own: usize) -> bool {
        let more = |taken: usize| {
            let next = taken.saturating_add(bytes);
            (next <= self.limit || taken == own).then_some(next)
        };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A body that takes room for what it has given so far, until it is dropped.
#[derive(Debug)]
pub(super) struct Metered<B> {
    body: B,
    inflow: Arc<Inflow>,
    own: usize,
    refuse: fn() -> BodyError,
}

impl<B> Metered<B> {
    /// `refuse` makes the error of a body for which there is no room.
    pub(super) fn new(body: B, inflow: Arc<Inflow>, refuse: fn() -> BodyError) -> Self {
        Self { body, inflow, own: 0, refuse }
    }
}

impl<B> Drop for Metered<B> {
    fn drop(&mut self) {
        self.inflow.give_back(self.own);
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        if !this.inflow.take(bytes, this.own) {
            return Poll::Ready(Some(Err((this.refuse)())));
        }
        this.own += bytes;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    fn body(bytes: usize, inflow: &Arc<Inflow>) -> Metered<Full<Bytes>> {
        Metered::new(Full::new(vec![0; bytes].into()), Arc::clone(inflow), || "no room".into())
    }

    #[tokio::test]
    async fn what_a_body_took_is_free_once_it_is_dropped() {
        let inflow = Arc::new(Inflow::new(10));
        let (mut first, mut second) = (body(7, &inflow), body(4, &inflow));
        first.frame().await.unwrap().unwrap();
        assert_eq!(second.frame().await.unwrap().unwrap_err().to_string(), "no room");
        drop(first);
        body(10, &inflow).frame().await.unwrap().unwrap();
        assert_eq!(inflow.taken.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_body_that_is_alone_may_be_larger() {
        let inflow = Arc::new(Inflow::new(10));
        body(11, &inflow).frame().await.unwrap().unwrap();
    }
}
