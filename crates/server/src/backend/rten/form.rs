//! The form of a node: all of it that decides whether an engine computes it as ONNX says, written as one line of text.
//!
//! `Conv 11 f,f,f dilations=1 group kernel_shape=2d pads strides`: the operator, the version of its definition, the types
//! of its inputs, then what its attributes say. A list of forms is a table that people can read and programs compare.

use std::fmt::Write as _;

use slipway_model::onnx::proto::attribute_proto::AttributeType;
use slipway_model::onnx::proto::{AttributeProto, NodeProto};
use slipway_model::onnx::{DataType, is_default_domain};

use super::values::{Values, elements};

/// Attributes whose value chooses what is computed; of others the form holds the name.
const CHOOSING: &[&str] = &[
    "accuracy_level",
    "align_corners",
    "allowzero",
    "antialias",
    "approximate",
    "auto_pad",
    "batch_dims",
    "bits",
    "block_size",
    "ceil_mode",
    "center_point_box",
    "coordinate_transformation_mode",
    "count_include_pad",
    "detect_negative",
    "detect_positive",
    "direction",
    "dtype",
    "equation",
    "exclude_outside",
    "exclusive",
    "fmod",
    "input_forget",
    "keepdims",
    "keep_aspect_ratio_policy",
    "largest",
    "layout",
    "linear_before_reset",
    "mode",
    "nearest_mode",
    "noop_with_empty_axes",
    "output_dtype",
    "p",
    "padding_mode",
    "reduction",
    "reverse",
    "saturate",
    "select_last_index",
    "sorted",
    "start",
    "stash_type",
    "storage_order",
    "to",
    "training_mode",
    "transA",
    "transB",
    "upper",
];

/// Flags that say nothing when they are zero.
const FLAGS: &[&str] = &["transA", "transB", "exclusive", "reverse"];

/// What a form is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Form {
    /// The operator, with its domain where that is not ONNX's own.
    pub(super) operator: String,
    /// The operator set in which this definition of it came.
    pub(super) since: i64,
    /// The types of the inputs, then the attributes.
    pub(super) aspects: Vec<String>,
}

impl Form {
    /// The forms that a product may have whose operands have ranks that are not known.
    pub(super) fn possible(&self) -> Vec<Self> {
        let Some(place) = self.aspects.iter().position(|aspect| {
            aspect.starts_with("ranks=?")
                || (aspect.starts_with("ranks=") && aspect.split(',').nth(1) == Some("?"))
        }) else {
            return vec![self.clone()];
        };
        let with = |rank: &str| {
            let mut form = self.clone();
            form.aspects[place] = form.aspects[place].replacen('?', rank, 1);
            form.possible()
        };
        [with("1"), with("2")].concat()
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.operator, self.since, self.aspects.join(" "))
    }
}

impl Form {
    /// The form of a node among the values that it sees. `is_used` says whether anyone takes an output.
    pub(super) fn of(
        node: &NodeProto,
        since: i64,
        values: &Values<'_>,
        is_used: impl Fn(&str) -> bool,
    ) -> Self {
        let mut aspects = vec![types(node, values)];
        let outputs: Vec<_> = (node.output.iter().zip(1..))
            .filter(|(output, place)| !output.is_empty() && (*place == 1 || is_used(output)))
            .map(|(_, place): (_, i32)| place.to_string())
            .collect();
        if outputs != ["1"] && !takes_any_outputs(node) {
            aspects.push(format!("outputs={}", outputs.join(",")));
        }
        aspects.extend(ranks(node, values));
        let says_something =
            |attribute: &&AttributeProto| !(FLAGS.contains(&attribute.name()) && attribute.i() == 0);
        let mut attributes: Vec<_> =
            node.attribute.iter().filter(says_something).map(|attribute| told(node, attribute)).collect();
        attributes.sort();
        aspects.extend(attributes);
        Self { operator: operator(node), since, aspects }
    }
}

/// An operator's name, with its domain where that is not ONNX's own.
pub(super) fn operator(node: &NodeProto) -> String {
    let domain = if is_default_domain(node.domain()) { "ai.onnx" } else { node.domain() };
    format!("{domain}.{}", node.op_type())
}

fn takes_any_outputs(node: &NodeProto) -> bool {
    matches!(node.op_type(), "Split" | "If" | "Loop" | "LSTM" | "GRU")
}

/// A letter for each input's type; inputs of one type of which there may be any number count once.
fn types(node: &NodeProto, values: &Values<'_>) -> String {
    let mut letters: Vec<_> =
        (node.input.iter().enumerate()).map(|(place, name)| letter(node, place, name, values)).collect();
    while letters.last().is_some_and(|letter| *letter == "_") {
        letters.pop();
    }
    if matches!(node.op_type(), "Concat" | "Max" | "Min" | "Mean" | "Sum" | "Einsum") {
        if letters.contains(&"i64") {
            letters.iter_mut().filter(|letter| **letter == "count").for_each(|letter| *letter = "i64");
        }
        letters.dedup();
    }
    if letters.is_empty() { "nothing".to_owned() } else { letters.join(",") }
}

fn letter(node: &NodeProto, place: usize, name: &str, values: &Values<'_>) -> &'static str {
    if name.is_empty() {
        return "_";
    }
    let Some(data_type) = values.data_type(name) else { return "?" };
    match data_type {
        DataType::FLOAT => "f",
        DataType::FLOAT16 => "f16",
        DataType::BFLOAT16 => "bf16",
        DataType::DOUBLE => "f64",
        DataType::INT32 | DataType::INT64 if is_end_of_slice(node, place, name, values) => "count",
        DataType::INT32 => "i32",
        DataType::INT64 if values.is_count(name) => "count",
        DataType::INT64 => "i64",
        DataType::INT8 => "i8",
        DataType::UINT8 => "u8",
        DataType::BOOL => "b",
        DataType::STRING => "text",
        _ => "other",
    }
}

/// Starts and ends beyond any size mean the end, and engines with fewer bits cut them off.
fn is_end_of_slice(node: &NodeProto, place: usize, name: &str, values: &Values<'_>) -> bool {
    node.op_type() == "Slice" && place > 0 && values.constant(name).is_some()
}

/// Ranks that decide: of the operands of a product, and of what is quantized in parts.
fn ranks(node: &NodeProto, values: &Values<'_>) -> Option<String> {
    let rank = |place: usize| {
        let name = node.input.get(place).filter(|name| !name.is_empty())?;
        values.rank(name)
    };
    let capped = |place: usize| rank(place).map_or("?".to_owned(), |rank| rank.min(2).to_string());
    match node.op_type() {
        "Conv" | "ConvTranspose" | "ConvInteger"
            if node.attribute.iter().all(|attribute| attribute.name() != "kernel_shape") =>
        {
            let space = rank(0).or_else(|| rank(1)).and_then(|rank| rank.checked_sub(2));
            Some(space.map_or("space=?".to_owned(), |space| format!("space={space}")))
        }
        "MatMul" => Some(format!("ranks={},{}", capped(0), capped(1))),
        "MatMulInteger" => {
            let zero = |place: usize| {
                let single = node
                    .input
                    .get(place)
                    .and_then(|name| values.constant(name))
                    .is_some_and(|zero| elements(zero) == 1);
                if single && rank(place) == Some(1) { "one".to_owned() } else { capped(place) }
            };
            Some(format!("ranks={},{},{},{}", capped(0), capped(1), zero(2), zero(3)))
        }
        "DequantizeLinear" => Some(format!("scale={}", capped(1))),
        _ => None,
    }
}

fn told(node: &NodeProto, attribute: &AttributeProto) -> String {
    let name = attribute.name();
    match name {
        "kernel_shape" if attribute.ints.iter().all(|size| *size == 1) => {
            format!("kernel_shape={}d_of_one", attribute.ints.len())
        }
        "kernel_shape" => format!("kernel_shape={}d", attribute.ints.len()),
        "dilations" | "strides" if attribute.ints.iter().all(|size| *size == 1) => format!("{name}=1"),
        "pads" | "output_padding" if attribute.ints.iter().all(|size| *size == 0) => format!("{name}=0"),
        "group" if attribute.i() == 1 => "group=1".to_owned(),
        "value" if node.op_type() == "ConstantOfShape" => {
            format!(
                "value={}",
                attribute.t.as_ref().map_or(0, slipway_model::onnx::proto::TensorProto::data_type)
            )
        }
        _ if CHOOSING.contains(&name) => format!("{name}={}", value(attribute)),
        _ => name.to_owned(),
    }
}

fn value(attribute: &AttributeProto) -> String {
    let mut text = String::new();
    let written = match AttributeType::try_from(attribute.r#type.unwrap_or_default()) {
        Ok(AttributeType::Int) => write!(text, "{}", attribute.i()),
        Ok(AttributeType::Float) => write!(text, "{}", attribute.f()),
        Ok(AttributeType::String) => {
            write!(text, "{}", String::from_utf8_lossy(attribute.s()).replace(' ', ""))
        }
        _ => write!(text, "…"),
    };
    written.expect("a text takes any text");
    text
}
