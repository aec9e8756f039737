//! Golden samples: a few inputs with the outputs that the gate saw, replayed by a server before it says ready.
//!
//! An int8 model's answers depend on the engine and the CPU, so what the gate judged is checked again where it serves.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::backend::{RunError, TensorSpec};
use crate::engine::Engine;
use crate::rest::decode_json;
use crate::tensor::{DataType, Tensor, TensorData, element_count};

/// Largest file that is read.
pub const MAX_BYTES: u64 = 64 << 20;

const VERSION: u32 = 1;

/// A file of golden samples.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenSamples {
    /// Version of the format; 1.
    pub version: u32,
    /// At least one sample.
    pub samples: Vec<GoldenSample>,
}

/// One request and its answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenSample {
    /// One tensor for each input of the model, in any order.
    pub inputs: Vec<GoldenTensor>,
    /// At least one of the model's outputs.
    pub outputs: Vec<GoldenTensor>,
    /// Largest allowed difference of any element, absolute, finite and not negative.
    #[serde(default)]
    pub slack: f64,
}

/// A tensor in the JSON form of the Open Inference Protocol.
#[derive(Debug, Serialize, Deserialize)]
pub struct GoldenTensor {
    /// Name of the input or output.
    pub name: String,
    /// The protocol's type name, such as `FP32`.
    pub datatype: String,
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// Elements, row-major; `null` is NaN.
    pub data: Box<RawValue>,
}

impl GoldenTensor {
    /// The protocol's form of a tensor.
    ///
    /// # Errors
    /// Never for the tensors that this crate can hold; the signature is the JSON writer's.
    pub fn new(name: &str, tensor: &Tensor) -> Result<Self, serde_json::Error> {
        Ok(Self {
            name: name.to_owned(),
            datatype: tensor.datatype().name().to_owned(),
            shape: tensor.shape().to_vec(),
            data: serde_json::value::to_raw_value(tensor.data())?,
        })
    }

    fn decode(&self, datatype: DataType) -> Result<Tensor, String> {
        let name = &self.name;
        if self.datatype != datatype.name() {
            return Err(format!("{name:?} is {datatype} in the model, {} in the sample", self.datatype));
        }
        element_count(&self.shape).ok_or_else(|| format!("{name:?} has an impossible shape"))?;
        let data = decode_json(name, datatype, &self.shape, &self.data).map_err(|error| error.to_string())?;
        Tensor::new(self.shape.clone(), data)
            .ok_or_else(|| format!("{name:?} has fewer elements than its shape says"))
    }
}

/// Why golden samples cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file cannot be read.
    #[error("cannot read the golden samples {path}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_BYTES`].
    #[error("the golden samples are larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The file is not in the format.
    #[error("the golden samples are not valid: {0}")]
    Invalid(String),
}

/// How a replay ended when it did not pass.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// An element differs by more than the slack.
    #[error(
        "sample {sample}: output {output:?} differs by {difference} at element {element}; {slack} is allowed"
    )]
    Differs {
        /// Position of the sample in the file.
        sample: usize,
        /// Name of the output.
        output: String,
        /// Position of the element with the largest difference.
        element: usize,
        /// That difference; NaN where one side alone is NaN.
        difference: f64,
        /// What the gate allowed.
        slack: f64,
    },
    /// The sample does not fit the model.
    #[error("sample {sample} does not fit the model: {reason}")]
    Unfit {
        /// Position of the sample in the file.
        sample: usize,
        /// What does not fit.
        reason: String,
    },
    /// The engine gave no answer.
    #[error("sample {sample}: {error}")]
    Failed {
        /// Position of the sample in the file.
        sample: usize,
        /// What the engine said.
        error: RunError,
    },
}

impl GoldenSamples {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// See [`GoldenError`].
    pub fn read(path: &Path) -> Result<Self, GoldenError> {
        let failed = |source| GoldenError::Read { path: path.display().to_string(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
            return Err(GoldenError::TooLarge);
        }
        Self::parse(&std::fs::read(path).map_err(failed)?)
    }

    /// Parses and checks the file's bytes.
    ///
    /// # Errors
    /// [`GoldenError::Invalid`], with what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, GoldenError> {
        let samples: Self =
            serde_json::from_slice(bytes).map_err(|error| GoldenError::Invalid(error.to_string()))?;
        samples.check().map_err(GoldenError::Invalid)?;
        Ok(samples)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("version {} is not {VERSION}", self.version));
        }
        if self.samples.is_empty() {
            return Err("there is no sample".to_owned());
        }
        for (index, sample) in self.samples.iter().enumerate() {
            if sample.outputs.is_empty() {
                return Err(format!("sample {index} has no output"));
            }
            if !(sample.slack.is_finite() && sample.slack >= 0.0) {
                return Err(format!("sample {index} has slack {}", sample.slack));
            }
        }
        Ok(())
    }

    /// Runs every sample through an engine and compares.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn replay(&self, engine: &Engine) -> Result<(), Mismatch> {
        self.samples.iter().enumerate().try_for_each(|(index, sample)| replay_one(engine, index, sample))
    }
}

fn replay_one(engine: &Engine, sample: usize, golden: &GoldenSample) -> Result<(), Mismatch> {
    let unfit = |reason| Mismatch::Unfit { sample, reason };
    let inputs = golden_inputs(engine.inputs(), golden).map_err(unfit)?;
    let outputs = engine.run(inputs).map_err(|error| Mismatch::Failed { sample, error })?;
    for golden_output in &golden.outputs {
        let name = &golden_output.name;
        let (spec, got) = engine
            .outputs()
            .iter()
            .zip(&outputs)
            .find(|(spec, _)| spec.name == *name)
            .ok_or_else(|| unfit(format!("the model has no output {name:?}")))?;
        let want = golden_output.decode(spec.datatype).map_err(unfit)?;
        if want.shape() != got.shape() {
            return Err(unfit(format!(
                "{name:?} has shape {:?}, the sample {:?}",
                got.shape(),
                want.shape()
            )));
        }
        let (element, difference) = largest_difference(&want, got);
        if difference.is_nan() || difference > golden.slack {
            let (output, slack) = (name.clone(), golden.slack);
            return Err(Mismatch::Differs { sample, output, element, difference, slack });
        }
    }
    Ok(())
}

fn golden_inputs(specs: &[TensorSpec], golden: &GoldenSample) -> Result<Vec<Tensor>, String> {
    if golden.inputs.len() != specs.len() {
        return Err(format!("it has {} inputs, the model {}", golden.inputs.len(), specs.len()));
    }
    specs
        .iter()
        .map(|spec| {
            let tensor = golden.inputs.iter().find(|tensor| tensor.name == spec.name);
            tensor.ok_or_else(|| format!("input {:?} is missing", spec.name))?.decode(spec.datatype)
        })
        .collect()
}

/// Position and size of the largest difference; NaN counts as larger than any number, two NaN as equal. Strings that
/// differ do so without limit.
fn largest_difference(want: &Tensor, got: &Tensor) -> (usize, f64) {
    if let (TensorData::Bytes(want), TensorData::Bytes(got)) = (want.data(), got.data()) {
        let other = want.iter().zip(got).position(|(want, got)| want != got);
        return other.map_or((0, 0.0), |element| (element, f64::INFINITY));
    }
    let (want, got) = (want.data().to_f64(), got.data().to_f64());
    let differences = want.iter().zip(&got).map(|(&want, &got)| {
        let both_unordered = want.is_nan() && !got.is_finite();
        if both_unordered || want.total_cmp(&got).is_eq() { 0.0 } else { (want - got).abs() }
    });
    // `total_cmp` puts a positive NaN above infinity.
    differences.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(values: &[f32]) -> Tensor {
        Tensor::new(vec![values.len()], TensorData::Fp32(values.to_vec())).unwrap()
    }

    #[test]
    fn difference_of_a_number_and_not_a_number_is_never_within_slack() {
        let (element, difference) =
            largest_difference(&floats(&[0.0, 1.0, 2.0]), &floats(&[9.0, f32::NAN, 2.0]));
        assert_eq!(element, 1);
        assert!(difference.is_nan());
        assert_eq!(largest_difference(&floats(&[f32::NAN]), &floats(&[f32::NAN])), (0, 0.0));
        // The sample's `null` stands for an infinity too.
        assert_eq!(largest_difference(&floats(&[f32::NAN]), &floats(&[f32::INFINITY])), (0, 0.0));
    }

    #[test]
    fn strings_are_equal_or_beyond_any_slack() {
        let labels = |second: &'static str| {
            Tensor::new(vec![2], TensorData::Bytes(vec!["cat".into(), second.into()])).unwrap()
        };
        assert_eq!(largest_difference(&labels("dog"), &labels("dog")), (0, 0.0));
        assert_eq!(largest_difference(&labels("dog"), &labels("cow")), (1, f64::INFINITY));
    }

    #[test]
    fn files_out_of_format_are_refused() {
        for (json, words) in [
            ("{}", "version"),
            (r#"{"version":2,"samples":[]}"#, "version 2"),
            (r#"{"version":1,"samples":[]}"#, "no sample"),
            (r#"{"version":1,"samples":[{"inputs":[],"outputs":[]}]}"#, "no output"),
            (
                r#"{"version":1,"samples":[{"inputs":[],"slack":-1,"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[1]}]}]}"#,
                "slack -1",
            ),
        ] {
            let error = GoldenSamples::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn written_tensor_reads_back() {
        let tensor = floats(&[0.1, -2.0]);
        let golden = GoldenTensor::new("x", &tensor).unwrap();
        assert_eq!(golden.decode(DataType::Fp32), Ok(tensor));
        assert!(golden.decode(DataType::Fp64).unwrap_err().contains("FP64"));
    }
}
