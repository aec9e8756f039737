//! How the range of an activation is chosen from what it was on data.

use serde::{Deserialize, Serialize};
use slipway_kernels::calibrate::Histogram;

use super::calibration::Span;

/// Integers of an activation.
const LEVELS: usize = 256;

/// How the range of an activation is chosen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Range {
    /// All values.
    MinMax,
    /// A share of the values in percent, as decimal text. Example: `99.99`.
    Percentile(Percent),
    /// The range that loses least information.
    Entropy,
    /// The range of the least squared error.
    #[default]
    Mse,
}

/// A share in percent, over 0 and up to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(String);

impl Percent {
    fn share(&self) -> f64 {
        self.0.parse::<f64>().expect("checked when parsed") / 100.0
    }
}

impl std::str::FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text.parse::<f64>() {
            Ok(value) if plain && value > 0.0 && value <= 100.0 => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is no share in percent, such as 99.99")),
        }
    }
}

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

impl Range {
    /// The range of the values that a histogram counted.
    pub(super) fn of(&self, histogram: &Histogram) -> Span {
        let span = match self {
            Self::MinMax => histogram.min_max(),
            Self::Percentile(percent) => histogram.percentile(percent.share()),
            Self::Entropy => histogram.entropy(LEVELS),
            Self::Mse => histogram.least_squares(LEVELS),
        };
        // One zero, not two: a sign would be seen in the text.
        Span { low: span.low() + 0.0, high: span.high() + 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_plain_decimal_within_a_hundred() {
        for good in ["99.99", "100", "0.5", "99.999999"] {
            assert_eq!(good.parse::<Percent>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "0", "100.1", "-1", "1e1", "NaN", "inf", "99,9"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_way_asks_the_histogram_its_own_question() {
        let mut histogram = Histogram::default();
        let values: Vec<f32> = (0..20_000_u16).map(|index| (f32::from(index) / 1e4 - 1.0).powi(3)).collect();
        histogram.observe(&values).unwrap();
        histogram.observe(&[50.0, -0.0]).unwrap();
        let high = |range: Range| range.of(&histogram).high;
        assert!((high(Range::MinMax) - 50.0).abs() < f32::EPSILON);
        assert!(high(Range::Percentile("99.9".parse().unwrap())) < 2.0);
        assert!((high(Range::Percentile("100".parse().unwrap())) - 50.0).abs() < f32::EPSILON);
        assert!(high(Range::Mse) <= 50.0 && high(Range::Entropy) <= 50.0);
        let mut zeros = Histogram::default();
        zeros.observe(&[-0.0]).unwrap();
        assert!(Range::MinMax.of(&zeros).low.is_sign_positive());
    }
}
