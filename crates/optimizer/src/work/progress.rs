//! Progress of a step: told to whoever watches, in a terminal or in a log.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use slipway_artifacts::SharedProgress;

/// A stage's progress, handed on to a receiver of transfers.
#[derive(Debug, Clone)]
pub struct Forward {
    to: SharedProgress,
    doing: &'static str,
}

impl Forward {
    /// Progress that is told under a name, for example `quantizing`.
    pub fn new(to: SharedProgress, doing: &'static str) -> Self {
        Self { to, doing }
    }
}

impl crate::progress::Progress for Forward {
    fn total(&self, units: u64) {
        self.to.start(self.doing, Some(units));
    }
    fn advance(&self, units: u64) {
        self.to.advance(units);
    }
    fn message(&self, _what: &str) {}
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.to.finish();
    }
}

/// Progress of a step that counts something, handed on to a receiver of transfers.
#[derive(Debug, Clone)]
pub struct Counted {
    progress: SharedProgress,
    what: &'static str,
}

impl Counted {
    /// Progress of what is done, for example `calibrating`.
    pub fn new(progress: SharedProgress, what: &'static str) -> Self {
        Self { progress, what }
    }
}

impl crate::progress::Progress for Counted {
    fn total(&self, units: u64) {
        self.progress.start_counting(self.what, Some(units));
    }
    fn advance(&self, units: u64) {
        self.progress.advance(units);
    }
    fn message(&self, _what: &str) {}
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.progress.finish();
    }
}

/// Progress as structured log lines, one every few seconds at most.
#[derive(Debug, Default)]
pub struct Logged {
    now: Mutex<Option<Transfer>>,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Transfer {
    what: String,
    total: Option<u64>,
    began: Instant,
    told: Instant,
}

const TELL_EVERY: Duration = Duration::from_secs(5);

impl slipway_artifacts::Progress for Logged {
    fn start(&self, what: &str, total: Option<u64>) {
        self.bytes.store(0, Ordering::Relaxed);
        let now = Instant::now();
        if let Ok(mut transfer) = self.now.lock() {
            *transfer = Some(Transfer { what: what.to_owned(), total, began: now, told: now });
        }
    }

    fn advance(&self, bytes: u64) {
        let done = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let Ok(mut now) = self.now.lock() else { return };
        let Some(transfer) = now.as_mut().filter(|transfer| transfer.told.elapsed() >= TELL_EVERY) else {
            return;
        };
        transfer.told = Instant::now();
        tracing::info!(what = transfer.what, done, total = transfer.total, "progress");
    }

    fn finish(&self) {
        let Ok(mut now) = self.now.lock() else { return };
        if let Some(Transfer { what, total: _, began, told: _ }) = now.take() {
            tracing::info!(
                what,
                bytes = self.bytes.load(Ordering::Relaxed),
                seconds = began.elapsed().as_secs_f64(),
                "done"
            );
        }
    }
}
