//! What was counted: successes among samples, and changes among pairs.

/// Successes among samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportion {
    successes: u64,
    n: u64,
}

impl Proportion {
    /// A count, or nothing where there is no sample or there are more successes than samples.
    pub fn new(successes: u64, n: u64) -> Option<Self> {
        (n > 0 && successes <= n).then_some(Self { successes, n })
    }

    /// Samples that succeeded.
    pub fn successes(self) -> u64 {
        self.successes
    }

    /// Samples, at least one.
    pub fn n(self) -> u64 {
        self.n
    }

    /// The share of successes, `0..=1`.
    pub fn rate(self) -> f64 {
        float(self.successes) / float(self.n)
    }
}

/// Two answers to each of the same samples: which of them only one got right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paired {
    lost: u64,
    gained: u64,
    n: u64,
}

impl Paired {
    /// `lost` samples were right before and are wrong now, `gained` the other way round, of `n` in all; nothing where
    /// there is no sample or more changed than there are.
    pub fn new(lost: u64, gained: u64, n: u64) -> Option<Self> {
        (n > 0 && lost.checked_add(gained).is_some_and(|changed| changed <= n)).then_some(Self {
            lost,
            gained,
            n,
        })
    }

    /// Samples that were right before and are wrong now.
    pub fn lost(self) -> u64 {
        self.lost
    }

    /// Samples that were wrong before and are right now.
    pub fn gained(self) -> u64 {
        self.gained
    }

    /// Samples, at least one.
    pub fn n(self) -> u64 {
        self.n
    }

    /// How much was lost in all, as a share of the samples: `(lost - gained) / n`, in `-1..=1`.
    pub fn drop(self) -> f64 {
        (float(self.lost) - float(self.gained)) / float(self.n)
    }
}

/// A count as a number; exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts of samples stay far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_counts_are_refused() {
        assert_eq!(Proportion::new(0, 0), None);
        assert_eq!(Proportion::new(3, 2), None);
        assert_eq!(Paired::new(0, 0, 0), None);
        assert_eq!(Paired::new(2, 1, 2), None);
        assert_eq!(Paired::new(u64::MAX, 1, u64::MAX), None);
        assert!(Paired::new(2, 1, 3).is_some());
    }
}
