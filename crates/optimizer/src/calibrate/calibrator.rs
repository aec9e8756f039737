//! From a model and data to the ranges of its activations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slipway_model::onnx::OnnxModel;

use super::calibration::Origin;
use super::data::inputs_of;
use super::feeds::Spread;
use super::seen::Seen;
use super::{CalibrateError, Calibration, Capture, CaptureOptions, Feeds, Range};
use crate::evaluate::TensorSpec;
use crate::file::digest;
use crate::progress::Progress;
use crate::stage::quantize::activations;

/// How a model is calibrated.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrateOptions {
    /// How ranges are chosen.
    pub range: Range,
    /// The most samples that are run, spread evenly over the data.
    pub samples: usize,
    /// How the model is run; nothing of it changes the result, but the engine its last bits.
    pub capture: CaptureOptions,
}

impl Default for CalibrateOptions {
    /// The least squared error over 128 samples.
    fn default() -> Self {
        Self { range: Range::default(), samples: 128, capture: CaptureOptions::default() }
    }
}

/// A model that is ready to be calibrated.
#[derive(Debug)]
pub struct Calibrator {
    path: PathBuf,
    inputs: Vec<TensorSpec>,
    activations: Vec<String>,
    model: String,
    options: CalibrateOptions,
}

impl Calibrator {
    /// Looks for every activation that static quantization asks for.
    ///
    /// # Errors
    /// Where the model cannot be read, or nothing of it would be quantized.
    pub fn open(model: &Path, options: &CalibrateOptions) -> Result<Self, CalibrateError> {
        let file = OnnxModel::open(model).map_err(|error| CalibrateError::Capture(error.into()))?;
        let activations = activations(&file);
        if activations.is_empty() {
            return Err(CalibrateError::NothingToCalibrate);
        }
        let digest = digest(&file).map_err(CalibrateError::Digest)?;
        let (path, inputs) = (model.to_owned(), inputs_of(&file)?);
        Ok(Self { path, inputs, activations, model: digest, options: options.clone() })
    }

    /// What a data set has to fit.
    pub fn inputs(&self) -> Vec<TensorSpec> {
        self.inputs.clone()
    }

    /// Runs samples, and tells the ranges; `data` is the digest of what they come from.
    ///
    /// An activation has no range where it is NaN or infinite on a sample, or where one scale would leave nothing of most
    /// of its channels: it stays float, and the calibration says why.
    ///
    /// # Errors
    /// Where the model cannot be run, or no activation has a range.
    pub fn run(
        &self,
        feeds: &dyn Feeds,
        data: &str,
        progress: &dyn Progress,
    ) -> Result<Calibration, CalibrateError> {
        let spread = Spread::of(feeds, self.options.samples);
        let capture =
            Capture::open_watched(&self.path, self.activations.clone(), &self.options.capture, progress)?;
        let mut seen: Vec<_> = self.activations.iter().map(|_| Seen::default()).collect();
        capture.run(&spread, progress, &mut |shown| {
            seen[shown.value].observe(shown);
            Ok(())
        })?;
        let (mut spans, mut unusable) = (BTreeMap::new(), BTreeMap::new());
        for (name, seen) in self.activations.iter().zip(seen) {
            match seen.span(&self.options.range) {
                Ok(span) => drop(spans.insert(name.clone(), span)),
                Err(reason) => drop(unusable.insert(name.clone(), reason)),
            }
        }
        if spans.is_empty() {
            let reason = unusable.into_values().next().unwrap_or_else(|| "there are no samples".to_owned());
            return Err(CalibrateError::NoRanges { reason });
        }
        Ok(Calibration::new(self.origin(capture.engine(), data, spread.count), spans, unusable))
    }

    fn origin(&self, engine: String, data: &str, samples: usize) -> Origin {
        Origin {
            engine,
            model: self.model.clone(),
            data: data.to_owned(),
            range: self.options.range.clone(),
            samples,
        }
    }
}
