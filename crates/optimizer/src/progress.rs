//! How a long step says how far it is.

/// A sink for progress, told from the thread that does the work.
///
/// Units are whatever the step counts (bytes for the quantizer). `total` may be
/// called more than once when an estimate improves. Implementations must be cheap
/// and must not fail: a broken terminal never breaks a stage.
pub trait Progress {
    /// Sets how many units the whole step has.
    fn total(&self, units: u64);
    /// Says that `units` more are done.
    fn advance(&self, units: u64);
    /// Names what is being done now, for example a tensor.
    fn message(&self, what: &str);
}

/// Progress that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn total(&self, _units: u64) {}
    fn advance(&self, _units: u64) {}
    fn message(&self, _what: &str) {}
}
