//! Waiting with a limit, and a message that says what was waited for.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::Faults;

const STEP: Duration = Duration::from_millis(50);

/// Waits until `look` gives a value.
///
/// # Panics
/// After `limit`, with what was waited for and the last complaint.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub async fn until<T, F, L>(what: &str, limit: Duration, mut look: L) -> T
where
    L: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    let begin = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(complaint) if begin.elapsed() > limit => {
                panic!("waited {} s for: {what}; last: {complaint}", limit.as_secs())
            }
            Err(_) => tokio::time::sleep(STEP).await,
        }
    }
}

/// Waits until a client has neither read nor written for `rest`.
///
/// # Panics
/// When it never rests within `limit`, with everything that it asked.
pub async fn quiet(faults: &Faults, rest: Duration, limit: Duration) {
    let mut last = (faults.work(), Instant::now());
    until("the client rests", limit, || {
        if faults.work() != last.0 {
            last = (faults.work(), Instant::now());
        }
        let rested = last.1.elapsed() >= rest;
        let counts = faults.counts();
        async move { if rested { Ok(()) } else { Err(format!("{counts:?}")) } }
    })
    .await;
}
