//! The status is stored only when it differs, and only on the state of the object that it was derived from.

use slipway_api::{ModelDeployment, status::Status};

use crate::{context::Context, error::Error};

/// What came of storing a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It was written.
    Written,
    /// It said the same already.
    Same,
    /// The object is gone.
    Gone,
}

/// Stores a status.
///
/// # Errors
/// A conflict when the object changed since it was seen; the next look derives the status anew.
pub(crate) async fn store(
    context: &Context,
    deployment: &ModelDeployment,
    status: Status,
) -> Result<Stored, Error> {
    if deployment.status.as_ref() == Some(&status) {
        return Ok(Stored::Same);
    }
    let wanted = ModelDeployment { status: Some(status), ..deployment.clone() };
    match context.writer.status(&wanted).await {
        Ok(answer) => {
            context.wrote(answer);
            Ok(Stored::Written)
        }
        Err(error) if error.is_not_found() => Ok(Stored::Gone),
        Err(error) => Err(error),
    }
}
