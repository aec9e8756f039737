//! What a caller may choose.

use std::path::PathBuf;

use slipway_server::EngineOptions;

use super::Measure;
use crate::stage::quantize::Options;

/// How the operators of a model are ranked.
#[derive(Debug, Clone, PartialEq)]
pub struct SensitivityOptions {
    /// What is quantized, and how; what its rules keep float is kept in any case.
    pub quantize: Options,
    /// The largest measure that the quantized model may have. Example: `0.01`.
    pub budget: f64,
    /// What is compared; disagreement where every row of the output is a distribution, else the relative error.
    pub measure: Option<Measure>,
    /// The output that is compared; the first that holds floats.
    pub output: Option<String>,
    /// The most samples that are run, spread evenly over the data.
    pub samples: usize,
    /// The most operators that may be kept float: a stage has so many rules at most.
    pub most_kept: usize,
    /// The engine that runs the models.
    pub engine: EngineOptions,
    /// A folder with room for a quantized copy of the model, and for the answers of the float model to all samples, all of
    /// which are removed afterwards.
    pub scratch: PathBuf,
}

impl SensitivityOptions {
    /// A budget for a way to quantize, over 512 samples, with every processor that this process may use.
    pub fn new(quantize: Options, budget: f64) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            quantize,
            budget,
            measure: None,
            output: None,
            samples: 512,
            most_kept: Options::MOST_RULES,
            engine: EngineOptions { threads, ..EngineOptions::default() },
            scratch: std::env::temp_dir(),
        }
    }
}
