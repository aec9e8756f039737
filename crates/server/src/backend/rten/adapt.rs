//! Writing out for the engine what ONNX lets a model leave out, without changing a value.

use slipway_model::onnx::attribute::{attribute, int, int_or, ints};
use slipway_model::onnx::proto::{GraphProto, NodeProto};
use slipway_model::onnx::{DataType, is_default_domain, subgraphs_mut};

use super::made::{made, scalar, vector};
use super::names::Names;
use super::values::{Values, elements};
use super::{literals, quantization};

/// Writes out what rten asks for and ONNX does not, in every graph of a model.
///
/// Windows get their strides, dilations and pads; a Softmax of a definition before 13 becomes one over the last axis of a
/// matrix; a cast to truth values compares with zero; quantization divides by its scale.
pub(super) fn adapt(root: &mut GraphProto, opset: i64) {
    literals::spell_out(root);
    let before = root.clone();
    let values = Values::of(&before, &[]);
    Adapter { opset, names: Names::apart_from(&before) }.graph(root, &before, &values);
}

/// Removes the descriptions of inner values, which files have wrong and rten believes where it knows nothing.
pub(super) fn forget_descriptions(graph: &mut GraphProto) {
    graph.value_info.clear();
    graph.node.iter_mut().flat_map(subgraphs_mut).for_each(forget_descriptions);
}

struct Adapter {
    opset: i64,
    names: Names,
}

impl Adapter {
    fn graph(&self, graph: &mut GraphProto, before: &GraphProto, values: &Values<'_>) {
        let nodes = std::mem::take(&mut graph.node);
        for (mut node, old) in nodes.into_iter().zip(&before.node) {
            for (inner, old) in subgraphs_mut(&mut node).zip(slipway_model::onnx::subgraphs(old)) {
                let inner_values = Values::within(old, values);
                self.graph(inner, old, &inner_values);
            }
            let written =
                if is_default_domain(node.domain()) { self.written_out(&node, values) } else { None };
            graph.node.extend(written.unwrap_or_else(|| vec![node]));
        }
    }

    /// The nodes that say the same; nothing where the node says all already.
    fn written_out(&self, node: &NodeProto, values: &Values<'_>) -> Option<Vec<NodeProto>> {
        match node.op_type() {
            "Conv" | "ConvTranspose" | "ConvInteger" => convolution(node, values).map(|node| vec![node]),
            "MaxPool" | "AveragePool" => pool(node).map(|node| vec![node]),
            "Softmax" | "LogSoftmax" if self.opset < 13 => softmax_of_a_matrix(node, values, &self.names),
            "Slice" => slice(node, values, &self.names),
            "DynamicQuantizeLinear" => quantization::dynamic(node, &self.names),
            "QuantizeLinear" => quantization::linear(node, values, &self.names),
            "Cast" if int_or(node, "to", 0) == i64::from(DataType::BOOL.code()) => {
                self.is_not_zero(node, values)
            }
            _ => None,
        }
    }

    /// `Not(Equal(x, 0))`, which also holds for what is no number.
    fn is_not_zero(&self, node: &NodeProto, values: &Values<'_>) -> Option<Vec<NodeProto>> {
        let (input, output) = (node.input.first()?, node.output.first()?);
        let data_type = values.data_type(input)?;
        let is_float = data_type == DataType::FLOAT && self.opset >= 11;
        if !is_float && ![DataType::INT32, DataType::INT64].contains(&data_type) {
            return None;
        }
        let named = |part: &str| self.names.part(output, part);
        let (zero, equal) = (named("zero"), named("is_zero"));
        let width = if data_type == DataType::INT64 { 8 } else { 4 };
        Some(vec![
            scalar(&zero, data_type, vec![0; width]),
            made("Equal", &[input, &zero], &equal),
            made("Not", &[&equal], output),
        ])
    }
}

fn convolution(node: &NodeProto, values: &Values<'_>) -> Option<NodeProto> {
    let kernel: Option<Vec<i64>> =
        attribute(node, "kernel_shape").map(|kernel| kernel.ints.clone()).or_else(|| {
            let weight = values.constant(node.input.get(1)?)?;
            weight.dims.get(2..).map(<[i64]>::to_vec)
        });
    let rank = || node.input.iter().take(2).find_map(|name| values.rank(name));
    let space = kernel.as_ref().map(Vec::len).or_else(|| rank()?.checked_sub(2))?;
    let mut written = node.clone();
    if let Some(kernel) = kernel {
        add(&mut written, "kernel_shape", &kernel);
    }
    add(&mut written, "dilations", &vec![1; space]);
    window(&mut written, space);
    (written != *node).then_some(written)
}

fn pool(node: &NodeProto) -> Option<NodeProto> {
    let space = attribute(node, "kernel_shape")?.ints.len();
    let mut written = node.clone();
    window(&mut written, space);
    (written != *node).then_some(written)
}

/// Strides, and pads where no other attribute says how much padding there is.
fn window(node: &mut NodeProto, space: usize) {
    add(node, "strides", &vec![1; space]);
    let padding = attribute(node, "auto_pad")
        .map_or_else(|| "NOTSET".to_owned(), |auto| String::from_utf8_lossy(auto.s()).into_owned());
    if matches!(padding.as_str(), "NOTSET" | "VALID") {
        if padding == "VALID" {
            node.attribute.retain(|attribute| !matches!(attribute.name(), "auto_pad" | "pads"));
        }
        node.attribute.retain(|attribute| attribute.name() != "auto_pad");
        add(node, "pads", &vec![0; 2 * space]);
    } else {
        node.attribute.retain(|attribute| attribute.name() != "pads");
    }
}

fn add(node: &mut NodeProto, name: &str, values: &[i64]) {
    if attribute(node, name).is_none() {
        node.attribute.push(ints(name, values));
    }
}

/// Axes, which without any are the first ones.
fn slice(node: &NodeProto, values: &Values<'_>, names: &Names) -> Option<Vec<NodeProto>> {
    let starts = values.constant(node.input.get(1)?)?;
    if node.input.get(3).is_some_and(|axes| !axes.is_empty()) {
        return None;
    }
    let axes = names.part(node.output.first()?, "axes");
    let count = i64::try_from(elements(starts)).ok()?;
    let bytes = (0..count).flat_map(i64::to_le_bytes).collect();
    let mut written = node.clone();
    written.input.resize(written.input.len().max(4), String::new());
    written.input[3].clone_from(&axes);
    Some(vec![vector(&axes, DataType::INT64, count, bytes), written])
}

/// Before opset 13 the operator took what follows its axis as one distribution.
fn softmax_of_a_matrix(node: &NodeProto, values: &Values<'_>, names: &Names) -> Option<Vec<NodeProto>> {
    let (input, output) = (node.input.first()?, node.output.first()?);
    let axis = int_or(node, "axis", 1);
    let is_last = values
        .rank(input)
        .is_some_and(|rank| axis == -1 || i64::try_from(rank).is_ok_and(|rank| axis == rank - 1));
    let over_the_last = |input: &str, output: &str| NodeProto {
        input: vec![input.to_owned()],
        output: vec![output.to_owned()],
        attribute: vec![int("axis", -1)],
        ..node.clone()
    };
    if is_last || axis == -1 {
        return (axis != -1).then(|| vec![over_the_last(input, output)]);
    }
    let named = |part: &str| names.part(output, part);
    let (sizes, matrix, shares) = (named("sizes"), named("matrix"), named("shares"));
    let mut flatten = made("Flatten", &[input], &matrix);
    flatten.attribute = vec![int("axis", axis)];
    Some(vec![
        made("Shape", &[input], &sizes),
        flatten,
        over_the_last(&matrix, &shares),
        made("Reshape", &[&shares, &sizes], output),
    ])
}
