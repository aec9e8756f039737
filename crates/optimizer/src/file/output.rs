//! A model as it will be written: a message without tensors, and the tensors.
//!
//! Lengths are known before any weight is read, so the message can be written front to back. A
//! protobuf message may give its fields in any order, and the parts of a repeated field in many
//! places: the tensors simply follow the rest of the graph.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use slipway_model::onnx::proto::tensor_proto::DataLocation;
use slipway_model::onnx::proto::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use slipway_model::onnx::{OnnxModel, Payload};

use super::producer::Part;
use super::{FileError, embed};

const MODEL_GRAPH: u32 = 7;
const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

/// External tensors begin at multiples of this many bytes: a cache line, a vector register.
pub(super) const ALIGNMENT: usize = 64;

/// Tensors of fewer bytes are kept in the message itself.
pub(super) const SMALL: u64 = 1024;

/// A model that is not written yet; its main graph has no initializers.
#[derive(Debug)]
pub(crate) struct Output<P> {
    pub(crate) model: ModelProto,
    pub(crate) tensors: Vec<OutputTensor<P>>,
}

impl<P> Output<P> {
    /// What is made while it is written.
    pub(crate) fn made(&mut self) -> Vec<&mut P> {
        let mut made = Vec::new();
        for tensor in &mut self.tensors {
            match tensor {
                OutputTensor::Made(producer) => made.push(producer),
                OutputTensor::Whole(_) | OutputTensor::Copied(..) => {}
            }
        }
        made
    }
}

/// One initializer of the output, or several that are made together.
#[derive(Debug)]
pub(crate) enum OutputTensor<P> {
    /// A message with its data.
    Whole(TensorProto),
    /// A message without data, and where the data lies.
    Copied(TensorProto, Payload),
    /// Made while it is written.
    Made(P),
}

/// A tensor that stays as it is: small ones whole, large ones copied from file to file.
///
/// # Errors
/// When its data cannot be found or read.
pub(crate) fn kept<P>(model: &OnnxModel, mut tensor: TensorProto) -> Result<OutputTensor<P>, FileError> {
    let external = tensor.data_location() == DataLocation::External;
    if !external && tensor.raw_data.is_none() {
        return Ok(OutputTensor::Whole(tensor));
    }
    let payload = model.payload(&tensor)?;
    if payload.len() >= SMALL && matches!(payload, Payload::File { .. }) {
        tensor.raw_data = None;
        tensor.external_data.clear();
        tensor.data_location = None;
        return Ok(OutputTensor::Copied(tensor, payload));
    }
    if external {
        embed::inline(model, &mut tensor)?;
    }
    Ok(OutputTensor::Whole(tensor))
}

/// A message without data and the bytes of data it gets.
pub(super) struct Streamed {
    header: TensorProto,
    length: u64,
}

impl From<&Part> for Streamed {
    fn from(part: &Part) -> Self {
        Self::new(&part.header, part.length)
    }
}

impl Streamed {
    /// Whether the data goes to the data file, where there is one.
    pub(super) fn is_large(&self) -> bool {
        self.length >= SMALL
    }

    /// Bytes of data.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn new(header: &TensorProto, length: u64) -> Self {
        Self { header: header.clone(), length }
    }

    /// Says that the data lies in another file.
    pub(super) fn externalize(&mut self, location: &str, offset: u64) {
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        self.header.data_location = Some(DataLocation::External as i32);
        self.header.external_data = vec![
            entry("location", location.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", self.length.to_string()),
        ];
    }

    /// Everything of the tensor but its data, when the data follows.
    pub(super) fn inline_prefix(&self) -> Vec<u8> {
        let mut prefix = self.header.encode_to_vec();
        encode_key(TENSOR_RAW_DATA, WireType::LengthDelimited, &mut prefix);
        encode_varint(self.length, &mut prefix);
        let mut out = field_prefix(GRAPH_INITIALIZER, prefix.len() as u64 + self.length);
        out.extend(prefix);
        out
    }

    /// Bytes that the tensor takes in the graph when the data follows.
    pub(super) fn inline_len(&self) -> u64 {
        self.inline_prefix().len() as u64 + self.length
    }

    /// The tensor when its data lies elsewhere.
    pub(super) fn external_field(&self) -> Vec<u8> {
        tensor_field(&self.header)
    }
}

/// A whole tensor as a field of the graph.
pub(super) fn tensor_field(tensor: &TensorProto) -> Vec<u8> {
    let mut out = field_prefix(GRAPH_INITIALIZER, tensor.encoded_len() as u64);
    out.extend(tensor.encode_to_vec());
    out
}

/// Bytes of a whole tensor as a field of the graph.
pub(super) fn tensor_field_len(tensor: &TensorProto) -> u64 {
    let len = tensor.encoded_len() as u64;
    1 + encoded_len_varint(len) as u64 + len
}

/// Everything of the model up to the graph's tensors, which take `tensors` bytes.
pub(super) fn model_prefix(model: &ModelProto, graph: &GraphProto, tensors: u64) -> Vec<u8> {
    let mut out = model.encode_to_vec();
    out.extend(field_prefix(MODEL_GRAPH, graph.encoded_len() as u64 + tensors));
    out.extend(graph.encode_to_vec());
    out
}

fn field_prefix(field: u32, length: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(field, WireType::LengthDelimited, &mut out);
    encode_varint(length, &mut out);
    out
}
