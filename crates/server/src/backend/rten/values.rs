//! What is known of the values of a graph without running it: element types, ranks, and which integers count sizes.

use std::collections::HashMap;

use slipway_model::onnx::attribute::{attribute, int_or, ints_of};
use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use slipway_model::onnx::{DataType, Types, is_contrib_float, is_default_domain, subgraphs};

use super::bounds::Bound;

/// What is known of one value.
#[derive(Default)]
struct Known<'a> {
    rank: Option<usize>,
    /// How many elements it has, where it is a vector.
    length: Option<usize>,
    /// How large its numbers get, where that is known.
    bound: Option<Bound>,
    /// Whether it is computed from constants alone, so that an engine may take it for one.
    is_fixed: bool,
    constant: Option<&'a TensorProto>,
}

/// What is known of every value that a graph sees.
pub(super) struct Values<'a> {
    types: Types<'a>,
    own: HashMap<&'a str, Known<'a>>,
    outer: Option<&'a Values<'a>>,
}

impl<'a> Values<'a> {
    /// The values of the main graph. `counts` names inputs whose integers are known to be counts.
    pub(super) fn of(graph: &'a GraphProto, counts: &[String]) -> Self {
        Self { types: Types::of(graph), own: HashMap::new(), outer: None }.filled(graph, counts)
    }

    /// The values of a graph inside another.
    pub(super) fn within(graph: &'a GraphProto, outer: &'a Self) -> Self {
        let types = Types::within(graph, &outer.types);
        Self { types, own: HashMap::new(), outer: Some(outer) }.filled(graph, &[])
    }

    fn filled(mut self, graph: &'a GraphProto, counts: &[String]) -> Self {
        for input in &graph.input {
            let bound = counts.iter().any(|name| name == input.name()).then_some(Bound::FEW);
            self.own.insert(input.name(), Known { rank: declared_rank(input), bound, ..Known::default() });
        }
        let initializers = graph.initializer.iter().map(|tensor| (tensor.name(), tensor));
        for (name, tensor) in initializers.chain(graph.node.iter().filter_map(constant_of)) {
            self.own.insert(name, Known::of(tensor));
        }
        for node in &graph.node {
            self.pass(node);
        }
        self
    }

    fn known(&self, name: &str) -> Option<&Known<'a>> {
        match self.own.get(name) {
            Some(known) => Some(known),
            None => self.outer?.known(name),
        }
    }

    /// The element type of a value.
    pub(super) fn data_type(&self, name: &str) -> Option<DataType> {
        self.types.get(name).and_then(DataType::from_code)
    }

    /// How many axes a value has.
    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.known(name)?.rank
    }

    /// Whether the integers of a value are computed from sizes and small constants, so that 32 bits hold them.
    pub(super) fn is_count(&self, name: &str) -> bool {
        self.bound(name).is_some_and(Bound::fits_32_bits)
    }

    /// How large the numbers of a value get.
    pub(super) fn bound(&self, name: &str) -> Option<Bound> {
        self.known(name)?.bound
    }

    /// Whether a value is computed from constants alone.
    pub(super) fn is_fixed(&self, name: &str) -> bool {
        self.known(name).is_some_and(|known| known.is_fixed)
    }

    /// The tensor behind a name, where it is an initializer or a `Constant`.
    pub(super) fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        self.known(name)?.constant
    }

    fn pass(&mut self, node: &'a NodeProto) {
        if node.op_type() == "Constant" && is_default_domain(node.domain()) {
            return;
        }
        for (name, known) in self.given(node) {
            self.own.insert(name, known);
        }
    }

    /// What is known of each output of a node.
    fn given(&self, node: &'a NodeProto) -> Vec<(&'a str, Known<'a>)> {
        let outputs = node.output.iter().enumerate().filter(|(_, output)| !output.is_empty());
        if !is_default_domain(node.domain()) {
            let first = node.input.first().filter(|_| is_contrib_float(node));
            let rank = |place| first.filter(|_| place == 0).and_then(|name| self.rank(name));
            let known = |(place, output): (_, &'a String)| {
                (output.as_str(), Known { rank: rank(place), ..Known::default() })
            };
            return outputs.map(known).collect();
        }
        let ranks = self.ranks_of(node);
        let (length, bound) = (self.length_of(node), self.bound_of(node));
        let is_fixed = self.gives_fixed_values(node);
        let known = |(place, output): (usize, &'a String)| {
            let known = Known {
                rank: ranks.get(place).copied().flatten(),
                length: length.filter(|_| place == 0),
                bound: if gives_places(node, place) { Some(Bound::SIZE) } else { bound },
                is_fixed,
                constant: None,
            };
            (output.as_str(), known)
        };
        outputs.map(known).collect()
    }

    /// The rank of each output of a node.
    fn ranks_of(&self, node: &NodeProto) -> Vec<Option<usize>> {
        if node.op_type() == "If" {
            return self.ranks_of_branches(node);
        }
        let rank = self.rank_of(node);
        (0..node.output.len()).map(|place| rank.filter(|_| !differs_in_rank(node, place))).collect()
    }

    /// The ranks that both branches of an `If` give its outputs.
    fn ranks_of_branches(&self, node: &NodeProto) -> Vec<Option<usize>> {
        let ranks = |branch: &GraphProto| {
            let values = Values::within(branch, self);
            branch.output.iter().map(|output| values.rank(output.name())).collect::<Vec<_>>()
        };
        let branches: Vec<_> = subgraphs(node).map(ranks).collect();
        let common = |place| {
            let mut ranks = branches.iter().map(|ranks| ranks.get(place).copied().flatten());
            let first = ranks.next()??;
            ranks.all(|rank| rank == Some(first)).then_some(first)
        };
        (0..node.output.len()).map(common).collect()
    }

    /// The rank of every output of a node, where they have one that its inputs tell.
    fn rank_of(&self, node: &NodeProto) -> Option<usize> {
        let input = |place: usize| node.input.get(place).map(String::as_str).filter(|name| !name.is_empty());
        let rank = |place: usize| input(place).and_then(|name| self.rank(name));
        let length = |place: usize| input(place).and_then(|name| self.length(name));
        match node.op_type() {
            "Range" => Some(1),
            "EyeLike" => Some(2),
            "OneHot" => Some(rank(0)? + 1),
            "LSTM" | "GRU" | "RNN" => Some(4),
            "QuantizeLinear" | "DequantizeLinear" => rank(0),
            "Shape" => Some(1),
            "Size" => Some(0),
            "Flatten" | "NonZero" | "NonMaxSuppression" => Some(2),
            "ConstantOfShape" => length(0),
            "Reshape" => length(1),
            "Unsqueeze" => Some(rank(0)? + ints_of(node, "axes").map(<[i64]>::len).or_else(|| length(1))?),
            "Squeeze" => rank(0)?.checked_sub(ints_of(node, "axes").map(<[i64]>::len).or_else(|| length(1))?),
            "Gather" => (rank(0)? + rank(1)?).checked_sub(1),
            "MatMul" | "MatMulInteger" => product_rank(rank(0)?, rank(1)?),
            "Gemm" => Some(2),
            "ArgMax" | "ArgMin" => self.reduced(rank(0), node, Some(1)),
            op if op.starts_with("Reduce") => {
                let all = || if input(1).is_none() { rank(0) } else { length(1) };
                self.reduced(rank(0), node, ints_of(node, "axes").map(<[i64]>::len).or_else(all))
            }
            "Expand" => Some(rank(0)?.max(length(1)?)),
            "Einsum" | "If" | "Loop" | "Scan" | "GatherND" => None,
            "Where" => Some(rank(0)?.max(rank(1)?).max(rank(2)?)),
            _ if BROADCASTING.contains(&node.op_type()) => {
                node.input.iter().map(|name| self.rank(name)).try_fold(0, |most, rank| Some(most.max(rank?)))
            }
            _ => rank(0),
        }
    }

    /// How many elements the vector that a node gives has.
    fn length_of(&self, node: &NodeProto) -> Option<usize> {
        let input = |place: usize| node.input.get(place).map(String::as_str).filter(|name| !name.is_empty());
        let length = |place: usize| input(place).and_then(|name| self.length(name));
        match node.op_type() {
            "Shape" if node.attribute.is_empty() => self.rank(input(0)?),
            "Concat" => node.input.iter().map(|name| self.length(name)).sum(),
            "Unsqueeze" | "Reshape" if self.rank(input(0)?) == Some(0) => Some(1),
            "Cast" | "Identity" | "Neg" | "Abs" | "Floor" | "Ceil" => length(0),
            "Add" | "Sub" | "Mul" | "Div" | "Mod" => {
                let [left, right] =
                    [0, 1].map(|place| input(place).and_then(|name| self.vector_length(name)));
                Some(left?.max(right?)).filter(|length| *length > 0)
            }
            "Gather" if self.rank(input(0)?) == Some(1) => length(1),
            "Slice" => self.sliced(length(0)?, node),
            _ => None,
        }
    }

    /// How much of a vector a slice with constant bounds and steps of one takes.
    fn sliced(&self, length: usize, node: &NodeProto) -> Option<usize> {
        let bound = |place: usize| {
            let value = self.single_integer(node.input.get(place)?)?;
            let length = i64::try_from(length).ok()?;
            let from_the_start = if value < 0 { value.saturating_add(length) } else { value };
            usize::try_from(from_the_start.clamp(0, length)).ok()
        };
        let steps = node.input.get(4).filter(|name| !name.is_empty());
        let by_one = steps.is_none_or(|steps| self.single_integer(steps) == Some(1));
        Some(bound(2)?.saturating_sub(bound(1)?)).filter(|_| by_one)
    }

    /// The integer of a constant of one element.
    fn single_integer(&self, name: &str) -> Option<i64> {
        let constant = self.constant(name).filter(|tensor| elements(tensor) == 1)?;
        integers(constant)?.first().copied()
    }

    /// The length of a vector; nothing for what is not known to be one.
    fn length(&self, name: &str) -> Option<usize> {
        self.known(name)?.length
    }

    /// As `length`, with 0 for a scalar.
    fn vector_length(&self, name: &str) -> Option<usize> {
        self.length(name).or_else(|| self.rank(name).filter(|rank| *rank == 0))
    }

    fn reduced(&self, rank: Option<usize>, node: &NodeProto, axes: Option<usize>) -> Option<usize> {
        if int_or(node, "keepdims", 1) != 0 { rank } else { rank?.checked_sub(axes?) }
    }

    /// Engines know sizes of inputs that are declared, so sizes count as fixed.
    fn gives_fixed_values(&self, node: &NodeProto) -> bool {
        let fixed = |name: &String| name.is_empty() || self.is_fixed(name);
        matches!(node.op_type(), "Shape" | "Size")
            || (!node.input.is_empty() && node.input.iter().all(fixed) && subgraphs(node).next().is_none())
    }
}

/// Operators whose inputs are stretched to a common shape.
const BROADCASTING: &[&str] = &[
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Mod",
    "Max",
    "Min",
    "Mean",
    "Sum",
    "And",
    "Or",
    "Xor",
    "Equal",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
    "PRelu",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitShift",
];

/// Whether an output has another rank than a node's first.
fn differs_in_rank(node: &NodeProto, place: usize) -> bool {
    place > 0
        && matches!(node.op_type(), "LSTM" | "GRU" | "RNN" | "DynamicQuantizeLinear" | "LayerNormalization")
}

/// Whether an output holds places in a tensor, which are never beyond its size.
fn gives_places(node: &NodeProto, place: usize) -> bool {
    match node.op_type() {
        "ArgMax" | "ArgMin" | "NonMaxSuppression" => true,
        "TopK" | "MaxPool" => place == 1,
        _ => false,
    }
}

fn product_rank(left: usize, right: usize) -> Option<usize> {
    match (left, right) {
        (0, _) | (_, 0) => None,
        (1, 1) => Some(0),
        (1, more) | (more, 1) => Some(more - 1),
        (left, right) => Some(left.max(right)),
    }
}

fn declared_rank(value: &ValueInfoProto) -> Option<usize> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor.shape.as_ref()?.dim.len()),
        _ => None,
    }
}

impl<'a> Known<'a> {
    fn of(tensor: &'a TensorProto) -> Self {
        let rank = tensor.dims.len();
        let length = (rank == 1).then(|| elements(tensor));
        Self { rank: Some(rank), length, bound: Bound::of(tensor), is_fixed: true, constant: Some(tensor) }
    }
}

fn constant_of(node: &NodeProto) -> Option<(&str, &TensorProto)> {
    let is_constant = node.op_type() == "Constant" && is_default_domain(node.domain());
    let tensor = attribute(node, "value").filter(|_| is_constant)?.t.as_ref()?;
    Some((node.output.first()?, tensor))
}

/// How many elements a tensor has.
pub(super) fn elements(tensor: &TensorProto) -> usize {
    let size = |size: &i64| usize::try_from(*size).unwrap_or_default();
    tensor.dims.iter().map(size).fold(1, usize::saturating_mul)
}

/// The integers of a small tensor that lies in the model's own file.
pub(super) fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    match DataType::from_code(tensor.data_type())? {
        DataType::INT64 => Some(match &tensor.raw_data {
            Some(raw) if !raw.is_empty() => {
                raw.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word)).collect()
            }
            _ => tensor.int64_data.clone(),
        }),
        DataType::INT32 => Some(match &tensor.raw_data {
            Some(raw) if !raw.is_empty() => {
                raw.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word).into()).collect()
            }
            _ => tensor.int32_data.iter().map(|&value| value.into()).collect(),
        }),
        _ => None,
    }
    .filter(|values| values.len() == elements(tensor))
}

/// The floats of a tensor of single precision that lies in the model's own file.
pub(super) fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    if DataType::from_code(tensor.data_type())? != DataType::FLOAT {
        return None;
    }
    let values: Vec<f32> = match &tensor.raw_data {
        Some(raw) if !raw.is_empty() => {
            raw.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
        }
        _ => tensor.float_data.clone(),
    };
    (values.len() == elements(tensor)).then_some(values)
}
