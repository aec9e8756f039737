//! What a person or a plan wants to know about a model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::element_count;
use super::graph::{all_graphs, attribute_tensors, graph_tensors, nodes};
use super::proto::tensor_shape_proto::dimension::Value as DimValue;
use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use super::{DataType, ExternalData, OnnxModel, Payload, is_default_domain};

/// A model in numbers; its JSON form goes into lineage annotations and `slipway inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnnxFacts {
    /// Version of the ONNX file format.
    pub ir_version: i64,
    /// What wrote the file, `name version`.
    pub producer: String,
    /// Imported operator sets by domain; ONNX's own domain is `ai.onnx`.
    pub opsets: BTreeMap<String, i64>,
    /// What a caller must give: graph inputs that no initializer gives a value.
    pub inputs: Vec<ValueFacts>,
    /// What a caller gets.
    pub outputs: Vec<ValueFacts>,
    /// How often each operator occurs, subgraphs and functions included.
    pub operators: BTreeMap<String, u64>,
    /// Elements of all initializers and `Constant` nodes.
    pub parameters: u64,
    /// Bytes of the model file and all of its external data files.
    pub total_bytes: u64,
    /// Initializers by element type.
    pub initializers: BTreeMap<String, TensorTotals>,
}

/// One input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueFacts {
    /// Its name.
    pub name: String,
    /// Its element type, `unknown` when it is no tensor or the model does not say.
    pub data_type: String,
    /// Its dimensions; absent when the model does not say even how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dims: Option<Vec<Dim>>,
}

/// One dimension of an input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// Always this long.
    Fixed(i64),
    /// Any length; dimensions of the same name agree.
    Symbol(String),
    /// Any length.
    Unknown,
}

/// A number of tensors and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TensorTotals {
    /// How many.
    pub count: u64,
    /// Their bytes in raw form.
    pub bytes: u64,
}

/// An operator: its domain (empty for ONNX's own) and type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorId {
    /// The domain; empty for ONNX's own.
    pub domain: String,
    /// The operator type.
    pub name: String,
}

impl OperatorId {
    /// The operator of a node.
    pub fn of(node: &NodeProto) -> Self {
        let domain = if is_default_domain(node.domain()) { "" } else { node.domain() };
        Self { domain: domain.to_owned(), name: node.op_type().to_owned() }
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}.{}", self.domain, self.name)
        }
    }
}

pub(super) fn facts(model: &OnnxModel) -> OnnxFacts {
    let proto = model.proto();
    let mut operators = BTreeMap::new();
    for node in nodes(proto) {
        *operators.entry(OperatorId::of(node).to_string()).or_default() += 1;
    }
    OnnxFacts {
        ir_version: proto.ir_version(),
        producer: format!("{} {}", proto.producer_name(), proto.producer_version()).trim().to_owned(),
        opsets: opsets(model),
        inputs: required_inputs(model.graph()),
        outputs: model.graph().output.iter().map(value_facts).collect(),
        operators,
        parameters: parameters(model),
        total_bytes: files(model).iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum(),
        initializers: initializers(model),
    }
}

fn opsets(model: &OnnxModel) -> BTreeMap<String, i64> {
    let name = |domain: &str| if is_default_domain(domain) { "ai.onnx" } else { domain }.to_owned();
    model.proto().opset_import.iter().map(|import| (name(import.domain()), import.version())).collect()
}

fn required_inputs(graph: &GraphProto) -> Vec<ValueFacts> {
    let given: BTreeSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    graph.input.iter().filter(|input| !given.contains(input.name())).map(value_facts).collect()
}

fn value_facts(value: &ValueInfoProto) -> ValueFacts {
    let tensor = match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => Some(tensor),
        _ => None,
    };
    let data_type = tensor.and_then(|tensor| DataType::from_code(tensor.elem_type()));
    ValueFacts {
        name: value.name().to_owned(),
        data_type: data_type.map_or_else(|| "unknown".to_owned(), DataType::name),
        dims: tensor
            .and_then(|tensor| tensor.shape.as_ref())
            .map(|shape| shape.dim.iter().map(|dim| dim_facts(dim.value.as_ref())).collect()),
    }
}

fn dim_facts(value: Option<&DimValue>) -> Dim {
    match value {
        Some(DimValue::DimValue(size)) => Dim::Fixed(*size),
        Some(DimValue::DimParam(name)) if !name.is_empty() => Dim::Symbol(name.clone()),
        Some(DimValue::DimParam(_)) | None => Dim::Unknown,
    }
}

/// Every initializer, and every tensor that a `Constant` node holds.
fn weights(model: &OnnxModel) -> Vec<&TensorProto> {
    let initializers = all_graphs(model.proto()).flat_map(|graph| &graph.initializer);
    let constants = nodes(model.proto()).into_iter().filter(|node| node.op_type() == "Constant");
    initializers.chain(constants.flat_map(attribute_tensors).map(|(_, tensor)| tensor)).collect()
}

fn parameters(model: &OnnxModel) -> u64 {
    weights(model).into_iter().filter_map(|tensor| element_count(&tensor.dims).ok()).sum()
}

fn initializers(model: &OnnxModel) -> BTreeMap<String, TensorTotals> {
    let mut totals = BTreeMap::<String, TensorTotals>::new();
    for tensor in all_graphs(model.proto()).flat_map(|graph| &graph.initializer) {
        let Some(data_type) = DataType::from_code(tensor.data_type()) else { continue };
        let bytes = model.payload(tensor).as_ref().map_or(0, Payload::len);
        let total = totals.entry(data_type.name()).or_default();
        total.count += 1;
        total.bytes += bytes;
    }
    totals
}

pub(super) fn files(model: &OnnxModel) -> BTreeSet<PathBuf> {
    let attributes = nodes(model.proto()).into_iter().flat_map(attribute_tensors).map(|(_, tensor)| tensor);
    let initializers = all_graphs(model.proto()).flat_map(graph_tensors);
    let external = attributes
        .chain(initializers)
        .filter(|tensor| !tensor.external_data.is_empty())
        .filter_map(|tensor| ExternalData::resolve(model.folder(), tensor).ok())
        .map(|data| data.path);
    external.chain([model.path().to_path_buf()]).collect()
}
