//! A calibration: the ranges that activations had on data, as an artifact of its own.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use slipway_api::{canonical_json, sha256_hex};
use slipway_model::regular;

use super::{CalibrateError, Range};

/// The version of the text that is written.
const VERSION: u32 = 1;
/// Files larger than this are no calibrations: an activation takes some hundred bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The ranges of a model's activations on calibration data.
///
/// Written as canonical JSON: sorted, and the same bytes for the same model, data, spec and tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calibration {
    /// The version of this form.
    version: u32,
    /// What calibrated. Example: `slipway/0.1.0`.
    pub tool: String,
    /// The engine that ran the model. Example: `rten 0.27.0`.
    pub engine: String,
    /// The digest of the model's files.
    pub model: String,
    /// The digest of the data.
    pub data: String,
    /// How a range is chosen.
    pub range: Range,
    /// How many samples were run.
    pub samples: usize,
    /// Each activation's range.
    spans: BTreeMap<String, Span>,
    /// Activations that have no range, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unusable: BTreeMap<String, String>,
}

/// The range of an activation, `low <= 0 <= high`, written as the shortest decimals that read back the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[String; 2]", into = "[String; 2]")]
pub struct Span {
    /// The lower end.
    pub low: f32,
    /// The upper end.
    pub high: f32,
}

impl TryFrom<[String; 2]> for Span {
    type Error = String;

    fn try_from(ends: [String; 2]) -> Result<Self, String> {
        let [low, high] = ends.clone().map(|end| end.parse::<f32>().ok().filter(|end| end.is_finite()));
        match (low, high) {
            (Some(low), Some(high)) if low <= 0.0 && high >= 0.0 => Ok(Self { low, high }),
            _ => Err(format!("{ends:?} is no range of finite numbers around zero")),
        }
    }
}

impl From<Span> for [String; 2] {
    fn from(Span { low, high }: Span) -> Self {
        [format!("{low:?}"), format!("{high:?}")]
    }
}

/// What a calibration was made of.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) engine: String,
    pub(super) model: String,
    pub(super) data: String,
    pub(super) range: Range,
    pub(super) samples: usize,
}

impl Calibration {
    pub(super) fn new(
        origin: Origin,
        spans: BTreeMap<String, Span>,
        unusable: BTreeMap<String, String>,
    ) -> Self {
        let Origin { engine, model, data, range, samples } = origin;
        let tool = crate::work::TOOL.to_owned();
        Self { version: VERSION, tool, engine, model, data, range, samples, spans, unusable }
    }

    /// The range of an activation, where it is known.
    pub fn span(&self, activation: &str) -> Option<Span> {
        self.spans.get(activation).copied()
    }

    /// Every activation with its range, by name.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = (&str, Span)> {
        self.spans.iter().map(|(name, span)| (name.as_str(), *span))
    }

    /// The text that is written.
    pub fn to_json(&self) -> String {
        canonical_json(self)
    }

    /// The digest of the text. Example: `sha256:4355…`.
    pub fn digest(&self) -> String {
        format!("sha256:{}", sha256_hex(self.to_json()))
    }

    /// Reads a calibration that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no calibration of this version.
    pub fn read(path: &Path) -> Result<Self, CalibrateError> {
        let text = regular::read(path, MAX_BYTES)
            .map_err(|source| CalibrateError::Read { path: path.to_owned(), source })?;
        let invalid = |reason: String| CalibrateError::Invalid { path: path.to_owned(), reason };
        let read: Self = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        if read.version == VERSION {
            return Ok(read);
        }
        Err(invalid(format!("it has version {}, this program knows {VERSION}", read.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spans: &[(&str, f32, f32)]) -> Calibration {
        let origin = Origin {
            engine: "rten 0".to_owned(),
            model: "sha256:a".to_owned(),
            data: "sha256:b".to_owned(),
            range: Range::Entropy,
            samples: 3,
        };
        let span =
            |(name, low, high): &(&str, f32, f32)| ((*name).to_owned(), Span { low: *low, high: *high });
        Calibration::new(origin, spans.iter().map(span).collect(), BTreeMap::new())
    }

    #[test]
    fn every_range_survives_the_text_bit_by_bit() {
        let mut state = 1_u64;
        let mut bits = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from_bits((state >> 32) as u32 & 0x7fff_ffff)
        };
        let random =
            std::iter::repeat_with(|| (bits(), bits())).filter(|(a, b)| a.is_finite() && b.is_finite());
        let extremes = [(f32::MAX, f32::from_bits(1)), (f32::MIN_POSITIVE, 0.1), (0.0, 16_777_217.0)];
        for (low, high) in random.take(20_000).chain(extremes) {
            let calibration = of(&[("x", -low, high)]);
            let back: Calibration = serde_json::from_str(&calibration.to_json()).unwrap();
            let span = back.span("x").unwrap();
            assert_eq!((span.low.to_bits(), span.high.to_bits()), ((-low).to_bits(), high.to_bits()));
        }
    }

    #[test]
    fn the_text_is_sorted_and_says_where_it_comes_from() {
        let text = of(&[("b", -1.5, 0.1), ("a", 0.0, 1e-40)]).to_json();
        let wanted = r#"{"data":"sha256:b","engine":"rten 0","model":"sha256:a","range":"entropy","samples":3,"spans":{"a":["0.0","1e-40"],"b":["-1.5","0.1"]},"tool":"slipway/0.1.0","version":1}"#;
        assert_eq!(text, wanted);
    }

    #[test]
    fn what_is_no_calibration_is_refused_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        let text = of(&[("x", -1.0, 1.0)]).to_json();
        for (from, to, words) in [
            ("\"version\":1", "\"version\":2", "version 2"),
            ("\"1.0\"", "\"NaN\"", "no range"),
            ("\"-1.0\"", "\"0.5\"", "no range"),
            ("\"samples\"", "\"sampled\"", "sampled"),
        ] {
            assert!(text.contains(from));
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let error = Calibration::read(&path).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("c.json"), "{error}");
        }
        std::fs::write(&path, &text).unwrap();
        assert_eq!(Calibration::read(&path).unwrap().to_json(), text);
    }
}
