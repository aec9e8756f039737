//! Numbers that are written as strings: floats do not survive round trips through JSON tools.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a string is not the scalar that its field needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScalarError {
    /// The text is not a plain decimal within its bounds.
    #[error("{0:?} is not a decimal between 0 and {1} with at most 6 places, such as \"0.95\"")]
    Decimal(String, u32),
    /// The text is not a duration.
    #[error("{0:?} is not a duration: write a number with its unit, such as \"10ms\", \"30s\" or \"1h30m\"")]
    Duration(String),
}

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident, max $max:literal, pattern $pattern:literal, example $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What an API server holds the text against.
            pub const PATTERN: &str = $pattern;

            /// The value; text and value never disagree, since the text was parsed once.
            pub fn value(&self) -> f64 {
                self.0.parse().expect("checked when parsed")
            }
            /// The text as the user wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ScalarError;
            fn from_str(text: &str) -> Result<Self, ScalarError> {
                let error = || ScalarError::Decimal(text.into(), $max);
                let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
                let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                if whole.len() > 4 || places.len() > 6 || !digits(whole) || !digits(places) {
                    return Err(error());
                }
                let value: f64 = text.parse().map_err(|_| error())?;
                if value > f64::from($max) { Err(error()) } else { Ok(Self(text.into())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = ScalarError;
            fn try_from(text: String) -> Result<Self, ScalarError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "maxLength": 11, "pattern": Self::PATTERN, "example": $example })
            }
        }
    };
}

decimal! {
    /// A fraction between 0 and 1, written as a decimal string such as `"0.95"`.
    Fraction, max 1, pattern r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$", example "0.95"
}
decimal! {
    /// A ratio between 0 and 1000, written as a decimal string such as `"0.35"` or `"1.5"`.
    Ratio, max 1000, pattern r"^[0-9]{1,4}(\.[0-9]{1,6})?$", example "0.35"
}

decimal! {
    /// A share in percent, over 0 and up to 100, written as a decimal string such as `"99.99"`.
    Percent, max 100, pattern r"^(100(\.0{1,6})?|[1-9][0-9]?(\.[0-9]{1,6})?)$", example "99.99"
}

/// A duration as Kubernetes writes it: `"300ms"`, `"30s"`, `"5m"`, `"1h30m"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    text: String,
    value: std::time::Duration,
}

impl Duration {
    /// What an API server holds the text against.
    pub const PATTERN: &str = "^([0-9]{1,9}(h|ms|m|s)){1,4}$";

    /// The value.
    pub fn value(&self) -> std::time::Duration {
        self.value
    }
    /// Whole seconds, rounded up, at least one.
    pub fn seconds(&self) -> i64 {
        let seconds = self.value.as_millis().div_ceil(1000).max(1);
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }
}

impl FromStr for Duration {
    type Err = ScalarError;
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let error = || ScalarError::Duration(text.into());
        let mut rest = text;
        let mut millis: u64 = 0;
        if rest.is_empty() || rest.len() > 16 {
            return Err(error());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| error())?;
            rest = &rest[digits..];
            let (unit, factor) = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))
                .ok_or_else(error)?;
            rest = &rest[unit.len()..];
            millis =
                number.checked_mul(factor).and_then(|part| millis.checked_add(part)).ok_or_else(error)?;
        }
        Ok(Self { text: text.into(), value: std::time::Duration::from_millis(millis) })
    }
}

impl TryFrom<String> for Duration {
    type Error = ScalarError;
    fn try_from(text: String) -> Result<Self, ScalarError> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(value: Duration) -> Self {
        value.text
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 16, "pattern": Self::PATTERN, "example": "5m" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_keep_the_users_text_and_refuse_what_is_not_one() {
        assert_eq!("0.950".parse::<Fraction>().unwrap().as_str(), "0.950");
        for bad in ["", "1.1", "-0.1", ".5", "1e-3", "NaN", "0.1234567", "0,5", "1."] {
            assert!(bad.parse::<Fraction>().is_err(), "{bad}");
        }
        assert!("1.5".parse::<Ratio>().is_ok());
        assert!("1000.5".parse::<Ratio>().is_err());
    }

    #[test]
    fn durations_add_their_parts() {
        assert_eq!("1h30m".parse::<Duration>().unwrap().seconds(), 5400);
        assert_eq!("300ms".parse::<Duration>().unwrap().seconds(), 1);
        assert_eq!("2ms".parse::<Duration>().unwrap().value().as_millis(), 2);
        for bad in ["", "5", "m", "5d", "-1s", "99999999999999999h", "1 s", "0.5s"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }
}
