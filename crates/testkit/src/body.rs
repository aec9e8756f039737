//! A response body that can be cut in the middle, as a broken connection would.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::BoxError;

/// A body that ends with an error once it is cut.
pub(crate) struct Cuttable<B> {
    inner: Pin<Box<B>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<B> Cuttable<B> {
    pub(crate) fn new(inner: B, cut: CancellationToken) -> Self {
        Self { inner: Box::pin(inner), cut: Box::pin(cut.cancelled_owned()) }
    }
}

impl<B> Body for Cuttable<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut by a test");
            return Poll::Ready(Some(Err(broken.into())));
        }
        self.inner.as_mut().poll_frame(context).map_err(Into::into)
    }
}
