//! When the user or the system asks this process to end.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Waits for SIGTERM or Ctrl-C; both are caught from the moment this returns.
///
/// # Errors
/// [`Error::Server`] where the system refuses to tell.
pub(crate) fn asked_to_end() -> Result<impl Future<Output = ()>, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Error::server(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Error::server(&error))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
