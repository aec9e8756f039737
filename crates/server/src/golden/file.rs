//! The file of golden samples: a head that describes tensors, then their elements.
//!
//! ```text
//! 8 bytes   "slipgold"
//! 4 bytes   version, little endian
//! 4 bytes   length of the head, little endian
//! head      JSON, see `Head`
//! elements  of every input and output in the head's order, in the protocol's binary form, nothing between
//! ```
//!
//! A length in the file is never believed before as many bytes were seen.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{GoldenOutput, GoldenSample, GoldenSamples};
use crate::tensor::{DataType, NamedTensor, Tensor, TensorData, element_count};

/// Largest file that is written or read.
pub const MAX_BYTES: u64 = 64 << 20;
/// Most bytes of all tensors of a file.
pub const MAX_TENSOR_BYTES: u64 = MAX_BYTES - MAX_HEAD_BYTES - PREFIX_BYTES;

const MAX_HEAD_BYTES: u64 = 1 << 20;
const PREFIX_BYTES: u64 = 16;
const MAGIC: &[u8; 8] = b"slipgold";
const VERSION: u32 = 2;

/// Why golden samples cannot be written or used.
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    samples: Vec<SampleHead>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleHead {
    inputs: Vec<TensorHead>,
    outputs: Vec<OutputHead>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputHead {
    tensor: TensorHead,
    tolerance: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorHead {
    name: String,
    /// The protocol's name of the element type.
    datatype: String,
    shape: Vec<usize>,
    /// How many bytes its elements take.
    bytes: usize,
}

impl TensorHead {
    fn of(name: &str, tensor: &Tensor) -> Self {
        let (datatype, shape) = (tensor.datatype().name().to_owned(), tensor.shape().to_vec());
        Self { name: name.to_owned(), datatype, shape, bytes: tensor.data().size_bytes() }
    }

    /// Takes its elements from the front of what is left.
    fn take(self, rest: &mut &[u8]) -> Result<NamedTensor, String> {
        let Self { name, datatype, shape, bytes } = self;
        let (elements, left) =
            rest.split_at_checked(bytes).ok_or_else(|| format!("the elements of {name:?} are missing"))?;
        *rest = left;
        let datatype = DataType::named(&datatype).ok_or_else(|| format!("{name:?} is of no known type"))?;
        element_count(&shape).ok_or_else(|| format!("{name:?} has an impossible shape"))?;
        let data = TensorData::from_le_bytes(datatype, elements);
        let tensor = data.and_then(|data| Tensor::new(shape, data));
        let tensor =
            tensor.ok_or_else(|| format!("the elements of {name:?} are not as many as its shape says"))?;
        Ok(NamedTensor { name, tensor })
    }
}

impl OutputHead {
    fn of(output: &GoldenOutput) -> Self {
        let GoldenOutput { name, tensor, tolerance, class } = output;
        Self { tensor: TensorHead::of(name, tensor), tolerance: *tolerance, class: *class }
    }

    fn take(self, rest: &mut &[u8]) -> Result<GoldenOutput, String> {
        let Self { tensor, tolerance, class } = self;
        let NamedTensor { name, tensor } = tensor.take(rest)?;
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            return Err(format!("{name:?} has tolerance {tolerance}"));
        }
        match class {
            Some(class) if class >= tensor.data().len() => Err(format!("{name:?} has no class {class}")),
            _ => Ok(GoldenOutput { name, tensor, tolerance, class }),
        }
    }
}

impl SampleHead {
    fn of(sample: &GoldenSample) -> Self {
        Self {
            inputs: sample.inputs.iter().map(|input| TensorHead::of(&input.name, &input.tensor)).collect(),
            outputs: sample.outputs.iter().map(OutputHead::of).collect(),
        }
    }

    fn take(self, rest: &mut &[u8]) -> Result<GoldenSample, String> {
        let Self { inputs, outputs } = self;
        if outputs.is_empty() {
            return Err("a sample has no output".to_owned());
        }
        let inputs = inputs.into_iter().map(|head| head.take(rest)).collect::<Result<_, _>>()?;
        let outputs = outputs.into_iter().map(|head| head.take(rest)).collect::<Result<_, _>>()?;
        Ok(GoldenSample { inputs, outputs })
    }
}

impl GoldenSamples {
    /// The file's bytes.
    ///
    /// # Errors
    /// [`GoldenError::TooLarge`] for more than a server reads, [`GoldenError::Invalid`] for what JSON has no form for.
    pub fn to_bytes(&self) -> Result<Vec<u8>, GoldenError> {
        let invalid = |error: serde_json::Error| GoldenError::Invalid(error.to_string());
        let head = Head { samples: self.samples.iter().map(SampleHead::of).collect() };
        let head = serde_json::to_vec(&head).map_err(invalid)?;
        let tensors: usize = self.samples.iter().map(GoldenSample::size_bytes).sum();
        if head.len() as u64 > MAX_HEAD_BYTES || tensors as u64 > MAX_TENSOR_BYTES {
            return Err(GoldenError::TooLarge);
        }
        let length = u32::try_from(head.len()).map_err(|_| GoldenError::TooLarge)?;
        let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes(), &head].concat();
        for sample in &self.samples {
            let inputs = sample.inputs.iter().map(|input| &input.tensor);
            for tensor in inputs.chain(sample.outputs.iter().map(|output| &output.tensor)) {
                tensor.data().write_le_bytes(&mut bytes);
            }
        }
        Ok(bytes)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// See [`GoldenError`].
    pub fn read(path: &Path) -> Result<Self, GoldenError> {
        let failed = |source| GoldenError::Read { path: path.display().to_string(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::parse(&bytes)
    }

    /// Parses and checks the file's bytes.
    ///
    /// # Errors
    /// [`GoldenError::TooLarge`]; [`GoldenError::Invalid`], with what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, GoldenError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(GoldenError::TooLarge);
        }
        parsed(bytes).map_err(GoldenError::Invalid)
    }
}

fn parsed(bytes: &[u8]) -> Result<GoldenSamples, String> {
    let no_samples = || "it is no file of golden samples".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(no_samples)?;
    let (version, rest) = number(rest).ok_or_else(no_samples)?;
    if version != VERSION {
        return Err(format!("version {version} is not {VERSION}: let the gate judge again"));
    }
    let (length, rest) = number(rest).ok_or_else(no_samples)?;
    let (head, mut rest) = usize::try_from(length)
        .ok()
        .filter(|length| *length as u64 <= MAX_HEAD_BYTES)
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| "its head is cut short".to_owned())?;
    let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
    let samples = head.samples.into_iter().map(|sample| sample.take(&mut rest));
    let samples = samples.collect::<Result<_, _>>()?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the last tensor", rest.len()));
    }
    Ok(GoldenSamples { samples })
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), rest))
}

#[cfg(test)]
mod tests;
