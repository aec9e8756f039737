//! Operators on constants, exact to the bit, or refused.
//!
//! Each gives what the ONNX specification says and what ONNX Runtime computes. What the two leave
//! open (an overflow, a division by zero, a sum whose order shows, a NaN) is refused, and the node
//! stays. Sizes are checked before memory is taken.

mod arithmetic;
mod cast;
mod compare;
mod create;
mod join;
mod pick;
mod reduce;
mod view;
mod walk;

use slipway_model::onnx::proto::NodeProto;
use slipway_model::onnx::{OnnxModel, is_default_domain};

use super::tensor::{Constant, LARGEST, Tensor};
use crate::file::FileError;
use crate::graph::{attribute, int_or, ints_of};

pub(super) use pick::{Span, span};
pub(super) use view::reshape;

/// Why a node is not computed ahead.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody here knows the operator, the form or the element type.
    Unknown,
    /// The specification leaves the result open, or the inputs are wrong.
    Undefined(&'static str),
    /// The result, or an input, has too many bytes.
    TooLarge(u64),
    /// So many bytes were read for others that these are not read.
    Spent,
    /// The file cannot be read.
    File(FileError),
}

/// Computes the outputs of a node whose inputs are all constants; `effort` is how many bytes may still be read for such
/// outputs, and what is read for these is taken from it.
pub(super) fn evaluate(
    model: &OnnxModel,
    node: &NodeProto,
    opset: i64,
    inputs: &[Option<&Constant>],
    effort: &mut u64,
) -> Result<Vec<Constant>, Refusal> {
    if !is_default_domain(node.domain()) {
        return Err(Refusal::Unknown);
    }
    if let Some(viewed) = view::view(model, node, opset, inputs)? {
        return Ok(vec![viewed]);
    }
    let operator = operator(node.op_type()).ok_or(Refusal::Unknown)?;
    *effort = effort.checked_sub(bytes(inputs)?).ok_or(Refusal::Spent)?;
    let load = |input: Option<&Constant>| input.map(|input| input.load(model)).transpose();
    let inputs = inputs.iter().copied().map(load).collect::<Result<Vec<_>, _>>()?;
    let outputs = operator(&Call { node, opset, inputs })?;
    Ok(outputs.into_iter().map(Constant::from).collect())
}

/// The bytes of inputs, none of which is too large to be read.
fn bytes(inputs: &[Option<&Constant>]) -> Result<u64, Refusal> {
    let sizes = inputs.iter().flatten().map(|input| input.len());
    match sizes.clone().find(|size| *size > LARGEST) {
        Some(size) => Err(Refusal::TooLarge(size)),
        None => Ok(sizes.sum()),
    }
}

type Operator = fn(&Call<'_>) -> Result<Vec<Tensor>, Refusal>;

/// The operator of a name.
fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => arithmetic::binary,
        "Min" | "Max" => arithmetic::extreme,
        "Neg" | "Abs" | "Sqrt" | "Reciprocal" | "Floor" | "Ceil" => arithmetic::unary,
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => compare::compare,
        "And" | "Or" | "Xor" => compare::logic,
        "Not" => compare::not,
        "Where" => compare::choose,
        "Cast" => cast::cast,
        "Shape" => create::shape,
        "Size" => create::size,
        "ConstantOfShape" => create::constant_of_shape,
        "Range" => create::range,
        "Concat" => join::concat,
        "Expand" => join::expand,
        "Tile" => join::tile,
        "Transpose" => pick::transpose,
        "Slice" => pick::slice,
        "Gather" => pick::gather,
        "Split" => pick::split,
        "ReduceSum" | "ReduceProd" | "ReduceMin" | "ReduceMax" => reduce::reduce,
        _ => return None,
    })
}

/// One node with its inputs at hand.
struct Call<'a> {
    node: &'a NodeProto,
    opset: i64,
    inputs: Vec<Option<Tensor>>,
}

impl Call<'_> {
    /// An input that has to be there.
    fn input(&self, index: usize) -> Result<&Tensor, Refusal> {
        self.optional(index).ok_or(Refusal::Undefined("an input is missing"))
    }

    fn optional(&self, index: usize) -> Option<&Tensor> {
        self.inputs.get(index)?.as_ref()
    }

    /// The integers of an input, or of an attribute in older operator sets.
    fn integers(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        match self.optional(index) {
            Some(tensor) => tensor.integers().map(Some).ok_or(Refusal::Unknown),
            None => Ok(ints_of(self.node, name).map(<[i64]>::to_vec)),
        }
    }

    /// The attribute `axis`, which has to be there unless there is a default.
    fn axis(&self, default: Option<i64>, rank: usize) -> Result<usize, Refusal> {
        let given = attribute(self.node, "axis").and_then(|attribute| attribute.i).or(default);
        axis(given.ok_or(Refusal::Unknown)?, rank)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        int_or(self.node, name, default)
    }

    fn op(&self) -> &str {
        self.node.op_type()
    }
}

/// An axis counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let rank = i64::try_from(rank).unwrap_or(i64::MAX);
    let front = if axis < 0 { axis + rank } else { axis };
    let inside = (0..rank).contains(&front);
    usize::try_from(front).ok().filter(|_| inside).ok_or(Refusal::Undefined("an axis is out of range"))
}

/// The most axes of a tensor: what has more is refused when a model is opened.
pub(super) const MOST_AXES: usize = 64;

/// Refuses dimensions of more axes than a tensor may have.
fn check_axes(count: usize) -> Result<(), Refusal> {
    if count > MOST_AXES { Err(Refusal::Undefined("a tensor of more than 64 dimensions")) } else { Ok(()) }
}

/// The number of elements of dimensions that a tensor of a file may have: multiplied one after the other, they stay
/// within 63 bits even where one of them is zero.
fn count(dims: &[usize]) -> Option<usize> {
    let product = dims.iter().try_fold(1_i64, |all, dim| all.checked_mul(i64::try_from(*dim).ok()?));
    usize::try_from(product?).ok()
}

/// The number of elements of a tensor that may be made.
fn elements(dims: &[usize], width: usize) -> Result<usize, Refusal> {
    check_axes(dims.len())?;
    let count = count(dims);
    let bytes = count.and_then(|count| count.checked_mul(width)).unwrap_or(usize::MAX);
    if bytes as u64 > LARGEST {
        return Err(Refusal::TooLarge(bytes as u64));
    }
    Ok(count.unwrap_or_default())
}

/// Dimensions from integers.
fn dims_of(values: &[i64]) -> Result<Vec<usize>, Refusal> {
    let dim =
        |value: &i64| usize::try_from(*value).map_err(|_| Refusal::Undefined("a dimension is negative"));
    values.iter().map(dim).collect()
}

#[cfg(test)]
mod tests;
