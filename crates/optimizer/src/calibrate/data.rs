//! Data that a stage looks at while it works.

use std::path::Path;
use std::sync::Arc;

use slipway_model::onnx::OnnxModel;
use slipway_server::declared_inputs;

use super::feeds::Spread;
use super::{Capture, CaptureError, CaptureOptions, Feeds, Refusal, Shown};
use crate::evaluate::TensorSpec;
use crate::progress::Progress;

/// Samples on which a stage looks at the activations of its model.
#[derive(Clone)]
pub struct Data {
    /// The samples.
    pub feeds: Arc<dyn Feeds>,
    /// The digest of what they come from: it stands in the output, and says whether two of these are equal.
    pub digest: String,
    /// The most samples that are run, spread evenly over all.
    pub samples: usize,
    /// How the model is run; nothing of it changes the result, but the engine its last bits.
    pub capture: CaptureOptions,
    /// Bytes of what is summed up over the samples at a time: the model runs once more for each part that does not fit.
    pub memory: u64,
}

impl Data {
    /// 128 samples, spread evenly over all and looked at within 512 MiB.
    pub fn new(feeds: Arc<dyn Feeds>, digest: impl Into<String>) -> Self {
        Self {
            feeds,
            digest: digest.into(),
            samples: 128,
            capture: CaptureOptions::default(),
            memory: 512 << 20,
        }
    }

    /// How many samples are run.
    pub fn count(&self) -> usize {
        self.samples.min(self.feeds.count())
    }

    /// Shows named values of a model on every sample, of which there has to be one.
    pub(crate) fn show(
        &self,
        model: &Path,
        values: Vec<String>,
        progress: &dyn Progress,
        visit: &mut dyn FnMut(Shown<'_>) -> Result<(), Refusal>,
    ) -> Result<(), CaptureError> {
        self.run(&self.open(model, values, progress)?, &|_| true, progress, visit)
    }

    /// Loads a model for several looks at its values.
    pub(crate) fn open(
        &self,
        model: &Path,
        values: Vec<String>,
        progress: &dyn Progress,
    ) -> Result<Capture, CaptureError> {
        if self.count() == 0 {
            return Err(CaptureError::NoSamples);
        }
        Capture::open_watched(model, values, &self.capture, progress)
    }

    /// Shows some of a loaded model's values on every sample.
    pub(crate) fn run(
        &self,
        capture: &Capture,
        is_wanted: &dyn Fn(&str) -> bool,
        progress: &dyn Progress,
        visit: &mut dyn FnMut(Shown<'_>) -> Result<(), Refusal>,
    ) -> Result<(), CaptureError> {
        capture.run_for(is_wanted, &Spread::of(self.feeds.as_ref(), self.samples), progress, visit)
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { feeds: _, digest, samples, capture, memory } = self;
        f.debug_struct("Data")
            .field("digest", digest)
            .field("samples", samples)
            .field("capture", capture)
            .field("memory", memory)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        let Self { feeds: _, digest, samples, capture, memory } = self;
        (digest, samples, capture, memory) == (&other.digest, &other.samples, &other.capture, &other.memory)
    }
}

/// What a data set has to fit to be run through a model.
///
/// # Errors
/// Where the model cannot be read, or has an input of a type that no engine takes.
pub fn inputs(model: &Path) -> Result<Vec<TensorSpec>, CaptureError> {
    inputs_of(&OnnxModel::open(model)?)
}

/// As [`inputs`], of a model that is open.
pub(super) fn inputs_of(model: &OnnxModel) -> Result<Vec<TensorSpec>, CaptureError> {
    let declared = declared_inputs(model).map_err(CaptureError::Load)?;
    Ok(declared.iter().map(TensorSpec::from).collect())
}
