//! What quantization did to the values.

use super::lanes::LANES;

/// Error of quantized values, in the units of the values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quality {
    /// The largest distance between a value and what stands for it; 0 where its square is too small for a float, infinite where it
    /// is too large.
    pub max_error: f32,
    /// Sum of squared distances.
    pub squared_error: f64,
    /// Sum of squared values.
    pub squared_value: f64,
    /// Values that lie beyond the range and were moved to its end.
    pub saturated: u64,
}

impl Quality {
    /// Adds the quality of other values.
    pub fn merge(&mut self, other: Self) {
        self.max_error = self.max_error.max(other.max_error);
        self.squared_error += other.squared_error;
        self.squared_value += other.squared_value;
        self.saturated += other.saturated;
    }

    /// Signal to quantization noise in decibels; `None` when there is no noise.
    pub fn sqnr_db(&self) -> Option<f64> {
        (self.squared_error > 0.0).then(|| 10.0 * (self.squared_value / self.squared_error).log10())
    }
}

/// Values summed in single precision before the sum moves to double.
pub(super) const BLOCK: usize = 1024;

/// Distance beyond half a step that only a value outside the range has.
pub(super) const OUTSIDE: f32 = 0.501;

/// Accumulators of one block, lane by lane.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    /// The largest squared error; its root is that error to the bit, where the square is a normal float.
    most_squared: [f32; LANES],
    squared_error: [f32; LANES],
    squared_value: [f32; LANES],
    saturated: [u32; LANES],
}

impl Sums {
    /// Adds one value: the whole step it became, and whether it lies beyond the range.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
    pub(super) fn add(&mut self, lane: usize, value: f32, scale: f32, step: f32, outside: bool) {
        let error = value - step * scale;
        let square = error * error;
        self.most_squared[lane] =
            if square > self.most_squared[lane] { square } else { self.most_squared[lane] };
        self.squared_error[lane] += square;
        self.squared_value[lane] += value * value;
        self.saturated[lane] += u32::from(outside);
    }

    pub(super) fn quality(self) -> Quality {
        Quality {
            max_error: self.most_squared.into_iter().fold(0.0, f32::max).sqrt(),
            squared_error: self.squared_error.into_iter().map(f64::from).sum(),
            squared_value: self.squared_value.into_iter().map(f64::from).sum(),
            saturated: self.saturated.into_iter().map(u64::from).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_the_worst_and_adds_the_rest() {
        let mut left = Quality { max_error: 1.0, squared_error: 1.0, squared_value: 50.0, saturated: 1 };
        left.merge(Quality { max_error: 0.5, squared_error: 0.0, squared_value: 50.0, saturated: 2 });
        assert_eq!(left, Quality { max_error: 1.0, squared_error: 1.0, squared_value: 100.0, saturated: 3 });
        assert_eq!(left.sqnr_db(), Some(20.0));
        assert_eq!(Quality::default().sqnr_db(), None);
    }
}
