//! Chains of nodes that a simplification makes one operator of, as PyTorch's exporter writes them.

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::build::{ModelBuilder, ints};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::simplify::{Options, SimplifyReport, simplify};

use super::{Case, noise};

/// A normalization of `x` as PyTorch writes it, over 16 channels.
pub fn norm(model: ModelBuilder, x: &str, y: &str) -> ModelBuilder {
    let axes = || vec![ints("axes", &[-1])];
    model
        .floats("two", &[], &[2.0])
        .floats("epsilon", &[], &[1e-5])
        .floats("gamma", &[16], &noise(1, 16))
        .floats("beta", &[16], &noise(2, 16))
        .node_with("ReduceMean", &[x], &["mean"], axes())
        .node("Sub", &[x, "mean"], &["center"])
        .node("Pow", &["center", "two"], &["square"])
        .node_with("ReduceMean", &["square"], &["variance"], axes())
        .node("Add", &["variance", "epsilon"], &["moved"])
        .node("Sqrt", &["moved"], &["deviation"])
        .node("Div", &["center", "deviation"], &["normal"])
        .node("Mul", &["normal", "gamma"], &["scaled"])
        .node("Add", &["scaled", "beta"], &[y])
}

/// `y = gelu(x)` as PyTorch writes it.
pub fn gelu(model: ModelBuilder, x: &str, y: &str) -> ModelBuilder {
    model
        .floats("root", &[], &[std::f32::consts::SQRT_2])
        .floats("one", &[], &[1.0])
        .floats("half", &[], &[0.5])
        .node("Div", &[x, "root"], &["slope"])
        .node("Erf", &["slope"], &["curve"])
        .node("Add", &["curve", "one"], &["sum"])
        .node("Mul", &[x, "sum"], &["product"])
        .node("Mul", &["product", "half"], &[y])
}

pub fn ends() -> ModelBuilder {
    ModelBuilder::new().input("x", &[-1, 5, 16]).output("y", &[-1, 5, 16])
}

pub fn simplified(model: &ModelBuilder) -> (SimplifyReport, OnnxModel) {
    let case = Case::new(model);
    let options = Options { allow_unchanged: true, ..Options::default() };
    let report = simplify(&case.input, &case.output, &options, &Silent).unwrap();
    (report, case.output_model())
}
