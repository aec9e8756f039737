//! Element types of the values of a graph, told from its nodes.

use std::collections::HashMap;

use super::attribute::{attribute, int_or};
use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use super::{DataType, is_contrib_float, is_default_domain, subgraphs};

const BOOL: i32 = 9;
const INT32: i32 = 6;
const INT64: i32 = 7;

/// The element type of each value of one graph, as far as it can be told.
///
/// Descriptions of inner values are believed only where nobody can tell better, since files have wrong ones.
#[derive(Clone, Debug, Default)]
pub struct Types<'a> {
    own: HashMap<&'a str, Option<i32>>,
    outer: Option<&'a Types<'a>>,
}

impl<'a> Types<'a> {
    /// The types of a graph that stands on its own.
    pub fn of(graph: &'a GraphProto) -> Self {
        Self::inside(graph, None)
    }

    /// The types of a graph inside another, whose values it sees.
    pub fn within(graph: &'a GraphProto, outer: &'a Self) -> Self {
        Self::inside(graph, Some(outer))
    }

    fn inside(graph: &'a GraphProto, outer: Option<&'a Self>) -> Self {
        let described = graph.value_info.iter().filter_map(described).collect();
        let inputs =
            graph.input.iter().map(|input| (input.name(), self::described(input).map(|(_, code)| code)));
        let tensor = |tensor: &'a TensorProto| (tensor.name(), Some(tensor.data_type()));
        let own = inputs.chain(graph.initializer.iter().map(tensor)).collect();
        let mut types = Self { own, outer };
        for node in &graph.node {
            types.node(node, &described);
        }
        types
    }

    /// The code of a value's element type.
    pub fn get(&self, name: &str) -> Option<i32> {
        match self.own.get(name) {
            Some(code) => *code,
            None => self.outer?.get(name),
        }
    }

    /// Whether a value is of single precision.
    pub fn is_float(&self, name: &str) -> bool {
        self.get(name) == Some(DataType::FLOAT.code())
    }

    fn node(&mut self, node: &'a NodeProto, described: &HashMap<&str, i32>) {
        for (place, output) in node.output.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            let told = if is_known(node) { self.told(node, place) } else { None };
            self.own.insert(output, told.or_else(|| described.get(output.as_str()).copied()));
        }
    }

    /// The type of one output of an operator that [`is_known`].
    fn told(&self, node: &NodeProto, place: usize) -> Option<i32> {
        let input = |place: usize| node.input.get(place).and_then(|name| self.get(name));
        let float = Some(DataType::FLOAT.code());
        let attribute_or = |name: &str, otherwise: Option<i32>| match int_or(node, name, 0) {
            0 => otherwise,
            code => i32::try_from(code).ok(),
        };
        match node.op_type() {
            "Cast" => attribute_or("to", None),
            "CastLike" | "Where" | "DequantizeLinear" => input(1),
            "Constant" => constant(node),
            "ConstantOfShape" => tensor_attribute(node).or(float),
            "RandomNormal" | "RandomUniform" => attribute_or("dtype", float),
            "EyeLike" | "RandomNormalLike" | "RandomUniformLike" | "Bernoulli" => {
                attribute_or("dtype", input(0))
            }
            "HannWindow" | "HammingWindow" | "BlackmanWindow" => attribute_or("output_datatype", float),
            "Multinomial" => attribute_or("dtype", Some(INT32)),
            "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" | "NonMaxSuppression" => Some(INT64),
            "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Not"
            | "Xor" | "IsNaN" | "IsInf" => Some(BOOL),
            "TopK" | "MaxPool" | "Unique" if place > 0 => Some(INT64),
            "Dropout" if place > 0 => Some(BOOL),
            "OneHot" => input(2),
            "QuantizeLinear" => input(2).or(Some(DataType::UINT8.code())),
            "DynamicQuantizeLinear" => {
                if place == 1 {
                    float
                } else {
                    Some(DataType::UINT8.code())
                }
            }
            "MatMulInteger" | "ConvInteger" => Some(INT32),
            "QLinearMatMul" | "QLinearConv" => input(7),
            "If" | "Loop" | "Scan" => of_body(node, place),
            "SequenceConstruct" | "SequenceEmpty" | "SequenceInsert" | "SequenceErase"
            | "SplitToSequence" | "SequenceLength" | "SequenceAt" | "Optional" | "OptionalHasElement" => None,
            _ => input(0),
        }
    }
}

/// Whether the types of an operator are known: those of ONNX, and of others that give the type of their first input.
fn is_known(node: &NodeProto) -> bool {
    is_default_domain(node.domain()) || is_contrib_float(node)
}

fn constant(node: &NodeProto) -> Option<i32> {
    let holds = |name: &str| attribute(node, name).is_some();
    match () {
        () if holds("value_float") || holds("value_floats") => Some(DataType::FLOAT.code()),
        () if holds("value_int") || holds("value_ints") => Some(INT64),
        () => tensor_attribute(node),
    }
}

fn tensor_attribute(node: &NodeProto) -> Option<i32> {
    attribute(node, "value").and_then(|value| value.t.as_ref()).map(TensorProto::data_type)
}

/// What the body says of an output; the first outputs of a loop's body are its condition.
fn of_body(node: &NodeProto, place: usize) -> Option<i32> {
    let body = subgraphs(node).next()?;
    let skipped = usize::from(node.op_type() == "Loop");
    described(body.output.get(place + skipped)?).map(|(_, code)| code)
}

fn described(value: &ValueInfoProto) -> Option<(&str, i32)> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some((value.name(), tensor.elem_type())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{ModelBuilder, float_value, int};

    use super::*;

    #[test]
    fn types_follow_the_operators_and_not_wrong_descriptions() {
        let mut model = ModelBuilder::new()
            .input("x", &[-1, 4])
            .node("Shape", &["x"], &["dims"])
            .node_with("Cast", &["dims"], &["count"], vec![int("to", 10)])
            .node("Relu", &["x"], &["y"])
            .node("Greater", &["y", "x"], &["mask"])
            .node("Where", &["mask", "y", "x"], &["chosen"])
            .node("MaxPool", &["y"], &["pooled", "places"])
            .node_with("Custom", &["y"], &["foreign"], vec![])
            .node("Custom", &["y"], &["unknown"])
            .node("Gelu", &["y"], &["bent"])
            .node("FastGelu", &["y"], &["nearly"]);
        model.graph().value_info = vec![float_value("dims", &[2]), float_value("foreign", &[1])];
        for node in model.graph().node.iter_mut().filter(|node| node.op_type() == "Custom") {
            node.domain = Some("mine".to_owned());
        }
        for node in model.graph().node.iter_mut().filter(|node| node.op_type().ends_with("Gelu")) {
            node.domain = Some("com.microsoft".to_owned());
        }
        let types = Types::of(model.graph());
        for (name, code) in [
            ("x", Some(1)),
            ("dims", Some(7)),
            ("count", Some(10)),
            ("y", Some(1)),
            ("mask", Some(9)),
            ("chosen", Some(1)),
            ("pooled", Some(1)),
            ("places", Some(7)),
            ("foreign", Some(1)),
            ("unknown", None),
            ("bent", Some(1)),
            ("nearly", Some(1)),
        ] {
            assert_eq!(types.get(name), code, "{name}");
        }
    }
}
