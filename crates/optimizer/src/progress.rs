//! How a long step says how far it is.

use std::cell::Cell;

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
    /// Whether the step is to end, with an error and without an output; asked often, from wherever time is spent.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Progress of a part that counts for nothing, and ends when the step is to end.
pub(crate) struct Quiet<'a>(pub(crate) &'a dyn Progress);

impl Progress for Quiet<'_> {
    fn total(&self, _units: u64) {}
    fn advance(&self, _units: u64) {}
    fn message(&self, _what: &str) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// A part of a step that counts in units of its own: its whole is worth so many units of the step.
pub(crate) struct Part<'a> {
    step: &'a dyn Progress,
    worth: u64,
    total: Cell<u64>,
    done: Cell<u64>,
}

impl<'a> Part<'a> {
    pub(crate) fn new(step: &'a dyn Progress, worth: u64) -> Self {
        Self { step, worth, total: Cell::new(0), done: Cell::new(0) }
    }

    /// What so many of the part's units are worth.
    fn share(&self, units: u64) -> u64 {
        let share = u128::from(self.worth) * u128::from(units) / u128::from(self.total.get().max(1));
        u64::try_from(share).unwrap_or(self.worth).min(self.worth)
    }
}

impl Progress for Part<'_> {
    fn total(&self, units: u64) {
        self.total.set(units);
    }

    fn advance(&self, units: u64) {
        let before = self.share(self.done.get());
        self.done.set(self.done.get() + units);
        self.step.advance(self.share(self.done.get()) - before);
    }

    fn message(&self, what: &str) {
        self.step.message(what);
    }

    fn is_cancelled(&self) -> bool {
        self.step.is_cancelled()
    }
}

/// Progress that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn total(&self, _units: u64) {}
    fn advance(&self, _units: u64) {}
    fn message(&self, _what: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sum(Cell<u64>);

    impl Progress for Sum {
        fn total(&self, _units: u64) {}
        fn advance(&self, units: u64) {
            self.0.set(self.0.get() + units);
        }
        fn message(&self, _what: &str) {}
    }

    #[test]
    fn a_part_is_worth_its_share_whatever_it_counts() {
        for (worth, units) in [(100, 7), (3, 50), (u64::MAX, 2), (10, 0)] {
            let sum = Sum(Cell::new(0));
            let part = Part::new(&sum, worth);
            part.total(units);
            (0..units).for_each(|_| part.advance(1));
            assert_eq!(sum.0.get(), if units == 0 { 0 } else { worth });
        }
    }
}
