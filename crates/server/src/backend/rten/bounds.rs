//! How large the integers of a graph get, told from its nodes: rten computes 64-bit integers in 32 bits.

use slipway_model::onnx::attribute::{attribute, int_or};
use slipway_model::onnx::proto::{NodeProto, TensorProto};
use slipway_model::onnx::{DataType, is_default_domain};

use super::values::{Values, elements, floats, integers};

/// Most elements of a constant that is read more than once.
const FEW_ELEMENTS: usize = 64;

/// The largest absolute value of the numbers of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    most: u64,
    /// Whether it is one of a tensor's sizes, or a product of them: those are sizes again.
    is_size: bool,
}

impl Bound {
    /// A size of a tensor: what has more elements is larger than any request.
    pub(super) const SIZE: Self = Self { most: 1 << 20, is_size: true };
    /// What tests draw for a size.
    pub(super) const FEW: Self = Self { most: 1 << 6, is_size: true };
    const ONE: Self = Self { most: 1, is_size: false };
    const BYTE: Self = Self { most: 255, is_size: false };

    /// The largest absolute value of a constant; nothing for large tensors of floats and other types.
    pub(super) fn of(tensor: &TensorProto) -> Option<Self> {
        let most = match integers(tensor) {
            Some(values) => values.iter().map(|value| value.unsigned_abs()).max().unwrap_or_default(),
            None if elements(tensor) <= FEW_ELEMENTS => whole(&floats(tensor)?)?,
            None => return None,
        };
        Some(Self { most, is_size: false })
    }

    /// Whether 32 bits hold every such number.
    pub(super) fn fits_32_bits(self) -> bool {
        i32::try_from(self.most).is_ok()
    }

    fn larger(self, other: Self) -> Self {
        Self { most: self.most.max(other.most), is_size: self.is_size && other.is_size }
    }

    fn plus(self, other: Self) -> Self {
        Self { most: self.most.saturating_add(other.most), is_size: self.is_size || other.is_size }
    }

    fn times(self, other: Self) -> Self {
        let is_one = |bound: Self| bound.is_size && bound.most <= 2 * Self::SIZE.most;
        if is_one(self) && is_one(other) {
            return self.larger(other).larger(Self::SIZE);
        }
        Self { most: self.most.saturating_mul(other.most), is_size: self.is_size || other.is_size }
    }

    /// A sum over an axis.
    fn summed(self) -> Self {
        Self { most: self.most.saturating_mul(Self::SIZE.most), is_size: true }
    }
}

/// The largest absolute value, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and numbers are positive"
)]
fn whole(values: &[f32]) -> Option<u64> {
    let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    values.iter().all(|value| value.is_finite()).then_some(most.ceil() as u64)
}

impl Values<'_> {
    /// How large the numbers of a node's first output get.
    pub(super) fn bound_of(&self, node: &NodeProto) -> Option<Bound> {
        let inputs = || node.input.iter().filter(|name| !name.is_empty()).map(|name| self.bound(name));
        let input = |place: usize| self.bound(node.input.get(place)?);
        match node.op_type() {
            "Shape" | "Size" | "NonZero" => Some(Bound::SIZE),
            "Cast" => match self.data_type(node.input.first()?)? {
                DataType::BOOL => Some(Bound::ONE),
                DataType::UINT8 | DataType::INT8 => Some(Bound::BYTE),
                _ => input(0),
            },
            "Gather" | "Slice" | "Reshape" | "Squeeze" | "Unsqueeze" | "Expand" | "Transpose" | "Flatten"
            | "Tile" | "Identity" | "Split" | "GatherElements" | "GatherND" | "ReduceMax" | "ReduceMin"
            | "Abs" | "Neg" | "Floor" | "Ceil" | "Round" | "Trilu" => input(0),
            "ConstantOfShape" => match attribute(node, "value").and_then(|value| value.t.as_ref()) {
                Some(value) => Bound::of(value),
                None => Some(Bound::ONE),
            },
            "Mod" => Some(input(0)?.larger(input(1)?)),
            "Where" => Some(input(1)?.larger(input(2)?)),
            "Concat" | "Min" | "Max" | "Clip" | "Range" => inputs().reduce(|a, b| Some(a?.larger(b?)))?,
            "Add" | "Sub" => Some(input(0)?.plus(input(1)?)),
            "Mul" => Some(input(0)?.times(input(1)?)),
            "Div" => input(0).filter(|_| !self.divides_by_fractions(node)),
            "Sqrt" => Some(input(0)?.larger(Bound::ONE)),
            "ReduceSum" | "CumSum" => Some(input(0)?.summed()),
            "ReduceProd" => input(0).filter(|bound| bound.is_size),
            _ => None,
        }
    }

    /// A divisor below one makes numbers larger.
    fn divides_by_fractions(&self, node: &NodeProto) -> bool {
        let is_float = node.input.first().and_then(|name| self.data_type(name)) == Some(DataType::FLOAT);
        is_float
            && self
                .divisor(node)
                .and_then(floats)
                .is_none_or(|values| values.iter().any(|value| value.abs() < 1.0))
    }

    /// Whether a node divides integers by what may be zero or -1: the smallest integer has no counterpart, and rten panics.
    fn divides_by_anything(&self, node: &NodeProto) -> bool {
        let divisor = self.divisor(node).and_then(integers);
        matches!(node.op_type(), "Div" | "Mod")
            && divisor.is_none_or(|values| values.iter().any(|value| matches!(value, 0 | -1)))
    }

    fn divisor(&self, node: &NodeProto) -> Option<&TensorProto> {
        self.constant(node.input.get(1)?).filter(|tensor| elements(tensor) <= FEW_ELEMENTS)
    }

    /// Whether a node computes with 64-bit integers, and its results may need more than 32 bits.
    pub(super) fn needs_64_bits(&self, node: &NodeProto) -> bool {
        let [taken, given] =
            [&node.input, &node.output].map(|names| names.first().and_then(|name| self.data_type(name)));
        let adds =
            attribute(node, "reduction").is_some_and(|reduction| matches!(reduction.s(), b"add" | b"mul"));
        let is_own = is_default_domain(node.domain());
        let is_fit = || self.bound_of(node).is_some_and(Bound::fits_32_bits);
        let divides =
            self.divides_by_anything(node) && [DataType::INT64, DataType::INT32].map(Some).contains(&given);
        let grows = (GROWING.contains(&node.op_type()) || adds) && given == Some(DataType::INT64);
        let is_widened = is_cast_to(node, DataType::INT64) && taken == Some(DataType::FLOAT);
        is_own && (divides || grows || is_widened) && !is_fit()
    }
}

/// Operators that make integers of more digits than those that they are given.
const GROWING: &[&str] = &[
    "Abs",
    "Add",
    "CumSum",
    "Einsum",
    "Gemm",
    "MatMul",
    "Mean",
    "Mul",
    "Neg",
    "Pow",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Sub",
    "Sum",
];

fn is_cast_to(node: &NodeProto, data_type: DataType) -> bool {
    node.op_type() == "Cast" && int_or(node, "to", 0) == i64::from(data_type.code())
}
