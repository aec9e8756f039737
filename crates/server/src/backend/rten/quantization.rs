//! Quantization spelled out: rten multiplies by the reciprocal of the scale, which rounds some values to the other side.

use slipway_model::onnx::DataType;
use slipway_model::onnx::attribute::int;
use slipway_model::onnx::proto::NodeProto;

use super::made::{float, made};
use super::names::Names;
use super::values::{Values, elements};

/// `DynamicQuantizeLinear` as the function that ONNX defines it as.
pub(super) fn dynamic(node: &NodeProto, names: &Names) -> Option<Vec<NodeProto>> {
    let input = node.input.first()?;
    let [y, scale, zero] = node.output.as_slice() else { return None };
    let named = |part: &str| names.part(y, part);
    let [none, one, steps] = ["none", "one", "steps"].map(named);
    let [least, low, most, high, span, flat, step, below, shift, whole] =
        ["least", "low", "most", "high", "span", "flat", "step", "below", "shift", "whole"].map(named);
    let reduced = |operator: &str, output: &str| NodeProto {
        attribute: vec![int("keepdims", 0)],
        ..made(operator, &[input], output)
    };
    let mut nodes = vec![
        float(&none, 0.0),
        float(&one, 1.0),
        float(&steps, 255.0),
        reduced("ReduceMin", &least),
        reduced("ReduceMax", &most),
        made("Min", &[&least, &none], &low),
        made("Max", &[&most, &none], &high),
        made("Sub", &[&high, &low], &span),
        made("Equal", &[&span, &none], &flat),
        made("Div", &[&span, &steps], &step),
        made("Where", &[&flat, &one, &step], scale),
        made("Sub", &[&none, &low], &below),
        made("Div", &[&below, scale], &shift),
        made("Round", &[&shift], &whole),
        cast(&whole, zero, DataType::UINT8),
    ];
    nodes.extend(rounded(names, [y, input, scale, &whole], DataType::UINT8));
    Some(nodes)
}

/// `QuantizeLinear` with one scale.
pub(super) fn linear(node: &NodeProto, values: &Values<'_>, names: &Names) -> Option<Vec<NodeProto>> {
    let (input, scale, y) = (node.input.first()?, node.input.get(1)?, node.output.first()?);
    let is_single = values.rank(scale) == Some(0)
        || values
            .constant(scale)
            .is_some_and(|tensor| elements(tensor) == 1 && values.rank(input).is_some_and(|rank| rank > 0));
    let zero = node.input.get(2).filter(|name| !name.is_empty());
    let data_type = zero.map_or(Some(DataType::UINT8), |zero| values.data_type(zero))?;
    let is_known = [DataType::UINT8, DataType::INT8].contains(&data_type)
        && values.data_type(input) == Some(DataType::FLOAT)
        && node
            .attribute
            .iter()
            .all(|attribute| attribute.name() == "axis" || attribute.name() == "saturate");
    if !is_single || !is_known {
        return None;
    }
    let whole = names.part(y, "zero");
    let zero = zero.map_or_else(|| float(&whole, 0.0), |zero| cast(zero, &whole, DataType::FLOAT));
    Some([vec![zero], rounded(names, [y, input, scale, &whole], data_type)].concat())
}

/// `y = saturate(round(x / scale) + zero)`, with the zero point as a float.
fn rounded(names: &Names, [y, x, scale, zero]: [&str; 4], data_type: DataType) -> Vec<NodeProto> {
    let named = |part: &str| names.part(y, part);
    let [sizes, scales, quotient, near] = ["sizes", "scales", "quotient", "near"].map(named);
    let [moved, held, lowest, highest] = ["moved", "held", "lowest", "highest"].map(named);
    let (low, high) = if data_type == DataType::INT8 { (-128.0, 127.0) } else { (0.0, 255.0) };
    vec![
        float(&lowest, low),
        float(&highest, high),
        // A divisor of one element would become a factor again.
        made("Shape", &[x], &sizes),
        made("Expand", &[scale, &sizes], &scales),
        made("Div", &[x, &scales], &quotient),
        made("Round", &[&quotient], &near),
        made("Add", &[&near, zero], &moved),
        made("Clip", &[&moved, &lowest, &highest], &held),
        cast(&held, y, data_type),
    ]
}

fn cast(input: &str, output: &str, to: DataType) -> NodeProto {
    NodeProto { attribute: vec![int("to", to.code().into())], ..made("Cast", &[input], output) }
}
