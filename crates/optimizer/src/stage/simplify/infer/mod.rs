//! What is known of values that are not constant: types, dimensions, and integers that come from dimensions.
//!
//! Little is inferred, and only from what the model cannot be wrong about: the declared inputs,
//! constants, and what operators do. Descriptions of inner values are not believed.

mod shape;
mod window;

use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::tensor_proto::DataType as Code;
use slipway_model::onnx::proto::tensor_shape_proto::dimension;
use slipway_model::onnx::proto::{NodeProto, ValueInfoProto, type_proto};

use super::evaluate::MOST_AXES;
use super::tensor::Constant;
use crate::graph::{int_or, ints_of, is_contrib_gelu};

/// Integers that are followed from one value to the next.
const MOST_INTEGERS: usize = 64;

/// Sizes of which some are known.
pub(super) type Dims = Vec<Option<usize>>;

/// What is known of one value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Info {
    pub(super) code: Option<Code>,
    /// The sizes, where at least their number is known.
    pub(super) dims: Option<Dims>,
    /// The elements of a scalar or vector of integers, as far as they are known.
    pub(super) integers: Option<Vec<Option<i64>>>,
}

impl Info {
    /// What the model declares of an input.
    pub(super) fn declared(value: &ValueInfoProto) -> Self {
        let Some(type_proto::Value::TensorType(tensor)) =
            value.r#type.as_ref().and_then(|kind| kind.value.as_ref())
        else {
            return Self::default();
        };
        let size = |dim: &slipway_model::onnx::proto::tensor_shape_proto::Dimension| match dim.value {
            Some(dimension::Value::DimValue(size)) if size > 0 => usize::try_from(size).ok(),
            _ => None,
        };
        let shape = tensor.shape.as_ref().filter(|shape| shape.dim.len() <= MOST_AXES);
        Self {
            code: tensor.elem_type.and_then(|code| Code::try_from(code).ok()),
            dims: shape.map(|shape| shape.dim.iter().map(size).collect()),
            integers: None,
        }
    }

    /// What a constant is; its integers are given apart.
    pub(super) fn constant(constant: &Constant, integers: Option<Vec<i64>>) -> Self {
        Self {
            code: Some(constant.code),
            dims: Some(constant.dims.iter().copied().map(Some).collect()),
            integers: integers.map(|all| all.into_iter().map(Some).collect()),
        }
    }

    /// A type with sizes.
    fn of(code: Option<Code>, dims: Option<Dims>) -> Self {
        Self { code, dims, integers: None }
    }

    /// The sizes, if all are known.
    pub(super) fn fixed(&self) -> Option<Vec<usize>> {
        self.dims.as_ref()?.iter().copied().collect()
    }

    /// The integers, if all are known.
    pub(super) fn whole(&self) -> Option<Vec<i64>> {
        self.integers.as_ref()?.iter().copied().collect()
    }

    pub(super) fn rank(&self) -> Option<usize> {
        self.dims.as_ref().map(Vec::len)
    }
}

/// A node with what is known of its inputs.
struct Site<'a> {
    node: &'a NodeProto,
    opset: i64,
    inputs: Vec<Info>,
}

impl Site<'_> {
    fn input(&self, index: usize) -> Info {
        self.inputs.get(index).cloned().unwrap_or_default()
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        int_or(self.node, name, default)
    }

    /// An axis counted from the front.
    fn axis(&self, name: &str, default: i64, rank: usize) -> Option<usize> {
        super::evaluate::axis(self.int(name, default), rank).ok()
    }

    /// Integers that are an input, or an attribute in older operator sets; `Err` when nobody knows them.
    fn integers(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, ()> {
        match self.node.input.get(index).filter(|name| !name.is_empty()) {
            Some(_) => self.input(index).whole().map(Some).ok_or(()),
            None => Ok(ints_of(self.node, name).map(<[i64]>::to_vec)),
        }
    }
}

/// What is known of a node's outputs: one for each.
pub(super) fn infer(node: &NodeProto, opset: i64, inputs: Vec<Info>) -> Vec<Info> {
    let count = node.output.len();
    let here = Site { node, opset, inputs };
    let is_known = is_default_domain(node.domain()) || is_contrib_gelu(node);
    let mut outputs = if is_known { known(&here) } else { Vec::new() };
    outputs.resize(count, Info::default());
    for info in &mut outputs {
        info.dims = info.dims.take().filter(|dims| dims.len() <= MOST_AXES);
        if info.integers.as_ref().is_some_and(|integers| integers.len() > MOST_INTEGERS) {
            info.integers = None;
        }
    }
    outputs
}

/// Outputs that are known, the first ones first.
fn known(here: &Site<'_>) -> Vec<Info> {
    match here.node.op_type() {
        "Identity" => vec![here.input(0)],
        "Relu"
        | "Sigmoid"
        | "Tanh"
        | "Erf"
        | "Exp"
        | "Log"
        | "Sqrt"
        | "Neg"
        | "Abs"
        | "Reciprocal"
        | "Floor"
        | "Ceil"
        | "Round"
        | "Softmax"
        | "LogSoftmax"
        | "Clip"
        | "LeakyRelu"
        | "Elu"
        | "HardSigmoid"
        | "HardSwish"
        | "Softplus"
        | "Gelu"
        | "FastGelu"
        | "Not"
        | "Dropout"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "LayerNormalization"
        | "Sin"
        | "Cos"
        | "CumSum" => {
            vec![Info { integers: None, ..here.input(0) }]
        }
        "Shape" => vec![shape::shape(here)],
        "Size" => vec![shape::size(here)],
        "Cast" => vec![shape::cast(here)],
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "And" | "Or" | "Xor" if here.opset >= 7 => {
            vec![shape::binary(here)]
        }
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" if here.opset >= 7 => {
            vec![Info { code: Some(Code::Bool), integers: None, ..shape::binary(here) }]
        }
        "Where" => vec![shape::choose(here)],
        "Transpose" => vec![shape::transpose(here)],
        "Reshape" if here.opset >= 5 => vec![shape::reshape(here)],
        "Squeeze" | "Unsqueeze" => vec![shape::squeeze(here)],
        "Concat" => vec![shape::concat(here)],
        "Gather" => vec![shape::gather(here)],
        "Slice" => vec![shape::slice(here)],
        "Expand" => vec![shape::expand(here)],
        "ConstantOfShape" => vec![shape::constant_of_shape(here)],
        "MatMul" => vec![window::matmul(here)],
        "Gemm" => vec![window::gemm(here)],
        "Conv" | "MaxPool" | "AveragePool" => vec![window::window(here)],
        "GlobalAveragePool" | "GlobalMaxPool" => vec![window::global(here)],
        "ReduceSum" | "ReduceProd" | "ReduceMin" | "ReduceMax" | "ReduceMean" | "ReduceL2" => {
            vec![window::reduce(here)]
        }
        _ => Vec::new(),
    }
}

/// What two sizes broadcast to; a size that is not known may be 1.
fn broadcast(left: &Dims, right: &Dims) -> Option<Dims> {
    let rank = left.len().max(right.len());
    let dim = |dims: &Dims, axis: usize| match (axis + dims.len()).checked_sub(rank) {
        Some(at) => dims[at],
        None => Some(1),
    };
    (0..rank)
        .map(|axis| match (dim(left, axis), dim(right, axis)) {
            (Some(1), other) | (other, Some(1)) => Some(other),
            (Some(one), Some(other)) => (one == other).then_some(Some(one)),
            (Some(known), None) | (None, Some(known)) => Some(Some(known)),
            (None, None) => Some(None),
        })
        .collect()
}
