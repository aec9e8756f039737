//! How long work tells a caller how far it is.

use std::fmt::Debug;
use std::sync::Arc;

/// Receives the progress of one transfer at a time; called from any thread, so keep it cheap.
pub trait Progress: Send + Sync + Debug {
    /// A transfer begins; `total` is its size in bytes where that is known.
    fn start(&self, what: &str, total: Option<u64>);
    /// Counting begins of things that are no bytes, such as samples; `total` where that is known.
    fn start_counting(&self, what: &str, total: Option<u64>) {
        self.start(what, total);
    }
    /// So many further bytes were moved, or things counted.
    fn advance(&self, bytes: u64);
    /// The transfer or count that was started last is over, well or not.
    fn finish(&self);
}

/// A progress receiver that can be handed to background threads.
pub type SharedProgress = Arc<dyn Progress>;

#[derive(Debug)]
struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
}

/// Progress that nobody watches.
pub fn silent() -> SharedProgress {
    Arc::new(Silent)
}
