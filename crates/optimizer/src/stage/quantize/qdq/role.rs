//! What an operator is to static quantization.
//!
//! The lists are those of ONNX Runtime's documentation and behaviour: what it has an integer kernel for.

use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::NodeProto;

use crate::graph::{attribute, int_or};

/// What an operator is to static quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Multiplies and adds: integers pay here.
    Multiplies,
    /// Maps or joins activations, each at a scale of its own.
    Joins,
    /// Gives elements of its first input as they are.
    Keeps,
    /// Cuts the range of what another operator gives.
    Cuts,
    /// Computes in floats.
    Floats,
}

impl Role {
    pub(super) fn of(node: &NodeProto) -> Self {
        if !is_default_domain(node.domain()) {
            return Self::Floats;
        }
        match node.op_type() {
            "Conv" | "MatMul" | "Gemm" => Self::Multiplies,
            "Add" | "Mul" | "Concat" | "AveragePool" | "GlobalAveragePool" | "LeakyRelu" | "Sigmoid"
            | "Softmax" => Self::Joins,
            "Expand" | "Flatten" | "Gather" | "GatherElements" | "Identity" | "ReduceMax" | "ReduceMin"
            | "Reshape" | "Slice" | "Split" | "Squeeze" | "Tile" | "Transpose" | "Unsqueeze" => Self::Keeps,
            "MaxPool" if node.output.len() == 1 && int_or(node, "storage_order", 0) == 0 => Self::Keeps,
            "Resize" if picks(node) => Self::Keeps,
            "Relu" | "Clip" => Self::Cuts,
            _ => Self::Floats,
        }
    }
}

/// Whether a `Resize` gives elements of its input and computes none.
fn picks(node: &NodeProto) -> bool {
    let text = |name: &str| attribute(node, name).map(|value| value.s().to_vec());
    let mode = text("mode").unwrap_or_else(|| b"nearest".to_vec());
    let place = text("coordinate_transformation_mode").unwrap_or_default();
    mode == b"nearest" && place != b"tf_crop_and_resize"
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::build::{node, string};

    use super::*;

    #[test]
    fn a_resize_keeps_elements_where_it_neither_computes_nor_makes_any() {
        let role = |mode: &str, place: &str| {
            let attributes = vec![string("mode", mode), string("coordinate_transformation_mode", place)];
            Role::of(&node("Resize", &["x", "", "scales"], &["y"], attributes))
        };
        assert_eq!(role("nearest", "asymmetric"), Role::Keeps);
        assert_eq!(role("linear", "asymmetric"), Role::Floats, "values between elements");
        assert_eq!(
            role("nearest", "tf_crop_and_resize"),
            Role::Floats,
            "a value of its own outside the input"
        );
    }
}
