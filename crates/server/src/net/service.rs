//! Tells the two protocols apart.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tonic::codegen::Service;

use super::metered::Metered;
use crate::app::App;
use crate::error::ApiError;
use crate::grpc::proto::grpc_inference_service_server::GrpcInferenceServiceServer;
use crate::{grpc, rest};

type Body = Either<Full<Bytes>, tonic::body::Body>;

/// Both protocols over one state.
#[derive(Clone, Debug)]
pub(super) struct Protocols {
    app: Arc<App>,
    grpc: GrpcInferenceServiceServer<grpc::Inference>,
}

impl Protocols {
    pub(super) fn new(app: &Arc<App>) -> Self {
        Self { app: Arc::clone(app), grpc: grpc::service(app) }
    }

    /// Answers one request of either protocol.
    pub(super) async fn answer(
        mut self,
        request: Request<Incoming>,
        draining: bool,
    ) -> Result<Response<Body>, Infallible> {
        let inflow = Arc::clone(&self.app.inflow);
        if is_grpc(&request) {
            let refuse = || tonic::Status::from(ApiError::Overloaded).into();
            let request = request.map(|body| Metered::new(body, inflow, refuse));
            return Ok(grpc::explained(self.grpc.call(request).await?).map(Either::Right));
        }
        let request = request.map(|body| Metered::new(body, inflow, || ApiError::Overloaded.into()));
        let version = request.version();
        let mut response = rest::handle(&self.app, request).await.map(|body| Either::Left(Full::new(body)));
        if draining && version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
