//! When the user or the system asks this process to end.

use std::sync::atomic::{AtomicI32, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// The number of the signal that asked this process to end; 0 before one did.
static ASKED: AtomicI32 = AtomicI32::new(0);

/// Notes a request to end, so that a step stops where it removes what is half done; a second request ends the process at
/// once.
///
/// # Errors
/// [`Error::Server`] where the system refuses to tell.
pub(crate) fn note() -> Result<(), Error> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut requests = signal(kind).map_err(|error| Error::server(&error))?;
        tokio::spawn(async move {
            while requests.recv().await.is_some() {
                if ASKED.swap(kind.as_raw_value(), Ordering::Relaxed) != 0 {
                    std::process::exit(exit_code(kind.as_raw_value()).into());
                }
            }
        });
    }
    Ok(())
}

/// The exit code of a process that a noted signal asked to end.
pub(crate) fn asked() -> Option<u8> {
    match ASKED.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(exit_code(signal)),
    }
}

/// What a shell says of a process that a signal ended.
fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

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
