//! Small models for tests, built in code.

use std::path::Path;

use bytes::Bytes;
use prost::Message;

use super::DataType;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataLocation;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// A model under construction: opset 17, IR version 8, no nodes.
///
/// Dimensions of inputs and outputs are written as numbers; a negative one is the
/// symbol `batch`.
#[derive(Debug, Clone)]
pub struct ModelBuilder {
    /// The message; tests change what the methods do not reach.
    pub proto: ModelProto,
}

impl Default for ModelBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelBuilder {
    /// An empty model.
    pub fn new() -> Self {
        let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(17) };
        let graph = GraphProto { name: Some("graph".to_owned()), ..GraphProto::default() };
        let proto = ModelProto {
            ir_version: Some(8),
            producer_name: Some("tests".to_owned()),
            graph: Some(graph),
            opset_import: vec![opset],
            ..ModelProto::default()
        };
        Self { proto }
    }

    /// The graph, for what the methods do not reach.
    pub fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.get_or_insert_default()
    }

    /// Sets the opset of ONNX's own domain.
    #[must_use]
    pub fn opset(mut self, version: i64) -> Self {
        self.proto.opset_import[0].version = Some(version);
        self
    }

    /// Adds a float input.
    #[must_use]
    pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph().input.push(float_value(name, dims));
        self
    }

    /// Adds a float output.
    #[must_use]
    pub fn output(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph().output.push(float_value(name, dims));
        self
    }

    /// Adds any initializer.
    #[must_use]
    pub fn initializer(mut self, tensor: TensorProto) -> Self {
        self.graph().initializer.push(tensor);
        self
    }

    /// Adds an initializer of floats kept as raw data.
    #[must_use]
    pub fn floats(self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        self.initializer(float_tensor(name, dims, values))
    }

    /// Adds a node named after its first output.
    #[must_use]
    pub fn node(self, op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        self.node_with(op, inputs, outputs, Vec::new())
    }

    /// Adds a node with attributes.
    #[must_use]
    pub fn node_with(
        mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Self {
        self.graph().node.push(node(op, inputs, outputs, attribute));
        self
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.bytes())
    }
}

impl ModelBuilder {
    /// Writes the file with one more tensor of floats, in `float_data`: all zeros, and a hole in the file, so that it may be
    /// larger than the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_with_zeros(mut self, path: &Path, name: &str, dims: &[i64]) -> std::io::Result<()> {
        const MODEL_GRAPH: u8 = 7 << 3 | 2;
        const GRAPH_INITIALIZER: u8 = 5 << 3 | 2;
        const TENSOR_FLOAT_DATA: u8 = 4 << 3 | 2;
        let zeros = 4 * dims.iter().product::<i64>().unsigned_abs();
        let field = |tag: u8, length: u64| {
            let mut out = vec![tag];
            prost::encoding::encode_varint(length, &mut out);
            out
        };
        let header = TensorProto { raw_data: None, ..float_tensor(name, dims, &[]) }.encode_to_vec();
        let tensor = [header, field(TENSOR_FLOAT_DATA, zeros)].concat();
        let tensor = [field(GRAPH_INITIALIZER, tensor.len() as u64 + zeros), tensor].concat();
        let graph = [self.proto.graph.take().unwrap_or_default().encode_to_vec(), tensor].concat();
        let graph = [field(MODEL_GRAPH, graph.len() as u64 + zeros), graph].concat();
        let start = [self.bytes(), graph].concat();
        std::fs::write(path, &start)?;
        std::fs::File::options().write(true).open(path)?.set_len(start.len() as u64 + zeros)
    }
}

/// A node named after its first output.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        name: outputs.first().map(|output| format!("node_{output}")),
        op_type: Some(op.to_owned()),
        attribute,
        ..NodeProto::default()
    }
}

/// A tensor of floats kept as raw data.
pub fn float_tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(DataType::FLOAT.code()),
        name: Some(name.to_owned()),
        raw_data: Some(Bytes::from(raw)),
        ..TensorProto::default()
    }
}

/// A tensor of floats kept in another file.
pub fn external_tensor(name: &str, dims: &[i64], entries: &[(&str, &str)]) -> TensorProto {
    let pair = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some((*key).to_owned()),
        value: Some((*value).to_owned()),
    };
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(DataType::FLOAT.code()),
        name: Some(name.to_owned()),
        data_location: Some(DataLocation::External as i32),
        external_data: entries.iter().map(pair).collect(),
        ..TensorProto::default()
    }
}

/// A float input or output.
pub fn float_value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |size: &i64| Dimension {
        value: Some(match *size {
            size if size < 0 => dimension::Value::DimParam("batch".to_owned()),
            size => dimension::Value::DimValue(size),
        }),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(DataType::FLOAT.code()),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfoProto::default() }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// An attribute of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

/// An attribute of text.
pub fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.to_owned().into()), ..attribute(name, AttributeType::String) }
}

/// A tensor attribute.
pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(value), ..attribute(name, AttributeType::Tensor) }
}

/// A graph attribute, the body of an If or a Loop.
pub fn graph(name: &str, value: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(value), ..attribute(name, AttributeType::Graph) }
}
