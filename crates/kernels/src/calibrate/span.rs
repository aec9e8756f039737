//! A range that holds zero.

/// The values that the integers of an activation must cover, `low <= 0 <= high`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Span {
    low: f32,
    high: f32,
}

impl Span {
    /// The span of two finite values and zero.
    pub(super) fn new(low: f32, high: f32) -> Self {
        Self { low: low.min(0.0), high: high.max(0.0) }
    }

    /// The lower end, at most 0.
    pub fn low(self) -> f32 {
        self.low
    }

    /// The upper end, at least 0.
    pub fn high(self) -> f32 {
        self.high
    }
}
