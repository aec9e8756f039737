//! Waiting for what a user would wait for, never longer than a bound.

use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks until it is so; the last complaint is the panic's message when it never is.
///
/// # Panics
/// When the time is up.
pub fn until<T>(what: &str, most: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            #[expect(clippy::panic, reason = "this is how a test fails")]
            Err(complaint) if began.elapsed() > most => panic!("{what}: not within {most:?}: {complaint}"),
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
