//! A model as it will be written: a message without tensors, and the tensors.
//!
//! Lengths are known before any weight is read, so the message can be written front to back. A
//! protobuf message may give its fields in any order, and the parts of a repeated field in many
//! places: the tensors simply follow the rest of the graph.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use slipway_model::onnx::proto::tensor_proto::DataLocation;
use slipway_model::onnx::proto::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use slipway_model::onnx::{DataType, Payload};

use super::WeightType;
use super::emit::WeightNames;
use super::tensor::Layout;

const MODEL_GRAPH: u32 = 7;
const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

/// External tensors begin at multiples of this many bytes: a cache line, a vector register.
pub(super) const ALIGNMENT: usize = 64;

/// A model that is not written yet; its graph has no initializers.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) model: ModelProto,
    pub(super) tensors: Vec<OutputTensor>,
}

/// One initializer of the output.
#[derive(Debug)]
pub(super) enum OutputTensor {
    /// A message with its data.
    Whole(TensorProto),
    /// A message without data, and where the data lies.
    Copied { header: TensorProto, payload: Payload },
    /// A weight, and the scales that follow it.
    Quantized(Box<QuantizedWeight>),
}

/// A weight that becomes integers while it is written.
#[derive(Debug)]
pub(super) struct QuantizedWeight {
    pub(super) name: String,
    pub(super) dims: Vec<i64>,
    pub(super) payload: Payload,
    pub(super) layout: Layout,
    pub(super) names: WeightNames,
    pub(super) weights: WeightType,
    pub(super) float_kept: bool,
}

impl QuantizedWeight {
    pub(super) fn header(&self) -> TensorProto {
        header(&self.names.quantized, self.dims.clone(), DataType::INT8)
    }

    /// The messages of the scales; their length does not depend on the values.
    pub(super) fn scales(&self, scales: &[f32]) -> Vec<TensorProto> {
        let dims = match self.layout.channels() {
            _ if self.per_tensor() => Vec::new(),
            channels => vec![i64::try_from(channels).unwrap_or(i64::MAX)],
        };
        let tensor = |(name, alpha): &(String, f32)| TensorProto {
            raw_data: Some(
                scales.iter().flat_map(|scale| (scale * alpha).to_le_bytes()).collect::<Vec<_>>().into(),
            ),
            ..header(name, dims.clone(), DataType::FLOAT)
        };
        self.names.scales.iter().map(tensor).collect()
    }

    fn per_tensor(&self) -> bool {
        self.layout.granularity() == super::Granularity::PerTensor
    }
}

fn header(name: &str, dims: Vec<i64>, data_type: DataType) -> TensorProto {
    TensorProto {
        dims,
        data_type: Some(data_type.code()),
        name: Some(name.to_owned()),
        ..TensorProto::default()
    }
}

/// A message without data and the bytes of data it gets.
pub(super) struct Streamed {
    header: TensorProto,
    length: u64,
}

impl Streamed {
    pub(super) fn new(header: TensorProto, length: u64) -> Self {
        Self { header, length }
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
