//! How far a quantized model's answers are from those of the float model.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was measured, or why nothing can be: written as a number, or as an object with the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Deviation {
    /// The measure, 0 where the answers are the same.
    Measured(f64),
    /// The answers cannot be compared, which counts as more than any number.
    Unknown {
        /// Why. Example: `an answer is NaN or infinite for sample 3`.
        reason: String,
    },
}

impl Deviation {
    /// The measure; infinite where there is none.
    pub(super) fn or_infinite(&self) -> f64 {
        match self {
            Self::Measured(value) => *value,
            Self::Unknown { .. } => f64::INFINITY,
        }
    }

    /// The measure, where there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Measured(value) => Some(*value),
            Self::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured(value) => write!(f, "{value:.6}"),
            Self::Unknown { reason } => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_comes_back_from_its_text() {
        for (deviation, text) in [
            (Deviation::Measured(0.25), "0.25"),
            (Deviation::Unknown { reason: "no".to_owned() }, r#"{"reason":"no"}"#),
        ] {
            assert_eq!(serde_json::to_string(&deviation).unwrap(), text);
            assert_eq!(serde_json::from_str::<Deviation>(text).unwrap(), deviation);
        }
    }
}
