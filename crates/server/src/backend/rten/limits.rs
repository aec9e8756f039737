//! What rten cannot compute of operators whose form it can: it depends on numbers, not on types and attributes alone.

use slipway_model::onnx::attribute::{attribute, ints_of};
use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::NodeProto;

use super::values::{Values, elements, integers};

/// Why a node is beyond the engine, in words behind the operator's name; nothing where it is not.
pub(super) fn beyond(node: &NodeProto, values: &Values<'_>) -> Option<&'static str> {
    if !is_default_domain(node.domain()) {
        return None;
    }
    match node.op_type() {
        _ if values.needs_64_bits(node) => Some("of integers that may need more than 32 bits"),
        "Slice" if has_no_axes(node) => Some("without axes, from places that are computed"),
        "Slice" if may_go_back(node, values) => Some("with steps that may be negative"),
        "Split" if attribute(node, "num_outputs").is_some() => Some("into parts that may differ in size"),
        "Pad" if pads_outer_axes(node, values) => {
            Some("that repeats values along another axis than the last two")
        }
        "Conv" if is_same(node) && is_dilated(node) => Some("with auto_pad and dilations"),
        "ConvTranspose" if is_same(node) => Some("with auto_pad"),
        "QuantizeLinear" => Some("with several scales, by which it multiplies instead of dividing"),
        "Div" | "Pow" if may_lose_axes(node, values) => Some("by what may be one element of more axes"),
        _ => None,
    }
}

fn has_no_axes(node: &NodeProto) -> bool {
    node.input.len() > 1 && node.input.get(3).is_none_or(String::is_empty)
}

fn may_go_back(node: &NodeProto, values: &Values<'_>) -> bool {
    let Some(steps) = node.input.get(4).filter(|name| !name.is_empty()) else { return false };
    let steps = values.constant(steps).and_then(integers);
    steps.is_none_or(|steps| steps.iter().any(|step| *step <= 0))
}

fn pads_outer_axes(node: &NodeProto, values: &Values<'_>) -> bool {
    let is_constant = attribute(node, "mode").is_none_or(|mode| mode.s() == b"constant");
    let pads = match ints_of(node, "pads") {
        Some(pads) => Some(pads.to_vec()),
        None => node.input.get(1).and_then(|name| values.constant(name)).and_then(integers),
    };
    let reaches_out = |pads: Vec<i64>| {
        let rank = pads.len() / 2;
        let outer = rank.saturating_sub(2);
        pads.chunks(rank.max(1)).any(|side| side[..outer.min(side.len())].iter().any(|pad| *pad != 0))
    };
    let has_axes = node.input.get(3).is_some_and(|axes| !axes.is_empty());
    !is_constant && (has_axes || pads.is_none_or(reaches_out))
}

fn is_same(node: &NodeProto) -> bool {
    attribute(node, "auto_pad").is_some_and(|auto| auto.s().starts_with(b"SAME"))
}

fn is_dilated(node: &NodeProto) -> bool {
    ints_of(node, "dilations").is_some_and(|dilations| dilations.iter().any(|dilation| *dilation != 1))
}

/// Whether rten may drop axes: it takes a second operand of one element for a scalar.
fn may_lose_axes(node: &NodeProto, values: &Values<'_>) -> bool {
    let [left, right] = node.input.as_slice() else { return false };
    if values.constant(right).is_some_and(|tensor| elements(tensor) != 1) {
        return false;
    }
    match (values.rank(left), values.rank(right)) {
        (_, Some(0)) => false,
        (Some(left), Some(right)) => right > left,
        _ => true,
    }
}
