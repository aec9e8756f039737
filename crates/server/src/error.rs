//! What a client is told when a request fails: a status and plain words, the same in both protocols.

use http::StatusCode;

use crate::backend::RunError;
use crate::queue::Refusal;

/// A failed request. The message is for strangers: it names what they sent, never what is inside the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    NotFound(String),
    #[error("this path answers {0} only")]
    MethodNotAllowed(&'static str),
    #[error("the request body did not arrive in time")]
    SlowBody,
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    UnsupportedMedia(String),
    #[error("too many requests wait already; try again")]
    Overloaded,
    #[error("the model is not ready: {0}")]
    NotReady(String),
    #[error("the model could not answer this request")]
    Internal,
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Overloaded | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The status as a metric's label, for both protocols.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "400",
            Self::NotFound(_) => "404",
            Self::MethodNotAllowed(_) => "405",
            Self::SlowBody => "408",
            Self::TooLarge(_) => "413",
            Self::UnsupportedMedia(_) => "415",
            Self::Overloaded | Self::NotReady(_) => "503",
            Self::Internal => "500",
        }
    }

    pub(crate) fn grpc_code(&self) -> tonic::Code {
        match self {
            Self::BadRequest(_) | Self::UnsupportedMedia(_) => tonic::Code::InvalidArgument,
            Self::NotFound(_) => tonic::Code::NotFound,
            Self::MethodNotAllowed(_) => tonic::Code::Unimplemented,
            Self::SlowBody => tonic::Code::DeadlineExceeded,
            Self::TooLarge(_) | Self::Overloaded => tonic::Code::ResourceExhausted,
            Self::NotReady(_) => tonic::Code::Unavailable,
            Self::Internal => tonic::Code::Internal,
        }
    }
}

/// Refuses an extension of the protocol.
pub(crate) fn unsupported(extension: &str) -> ApiError {
    ApiError::BadRequest(format!("the {extension} extension is not supported"))
}

impl From<ApiError> for tonic::Status {
    fn from(error: ApiError) -> Self {
        Self::new(error.grpc_code(), error.to_string())
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Input(message) | RunError::UnknownValue(message) => Self::BadRequest(message),
            RunError::Engine(_) | RunError::Panicked => Self::Internal,
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Overloaded,
            Refusal::Closed => Self::NotReady("the server is shutting down".to_owned()),
        }
    }
}
