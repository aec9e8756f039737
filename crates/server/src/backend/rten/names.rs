//! Names for what is written out, apart from all that a model has.

use slipway_model::onnx::graphs;
use slipway_model::onnx::proto::GraphProto;

/// A sign that no name of a model holds.
pub(super) struct Names {
    sign: String,
}

impl Names {
    pub(super) fn apart_from(root: &GraphProto) -> Self {
        let graphs = graphs(root);
        let nodes = || graphs.iter().flat_map(|graph| &graph.node);
        let values = nodes().flat_map(|node| node.input.iter().chain(&node.output)).map(String::as_str);
        let declared = graphs.iter().flat_map(|graph| {
            let initializers = graph.initializer.iter().map(|tensor| tensor.name());
            initializers.chain(graph.input.iter().chain(&graph.output).map(|value| value.name()))
        });
        let taken = values.chain(declared).chain(nodes().map(|node| node.name()));
        let longest = taken.flat_map(|name| name.split(|letter| letter != '/')).map(str::len).max();
        Self { sign: "/".repeat(longest.unwrap_or_default() + 1) }
    }

    /// A name for a part of what stands for a value.
    pub(super) fn part(&self, value: &str, part: &str) -> String {
        format!("{value}{}{part}", self.sign)
    }
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::build::ModelBuilder;

    use super::*;

    #[test]
    fn no_name_of_the_model_is_made_again() {
        let mut model = ModelBuilder::new().node("Relu", &["x"], &["y"]).node("Relu", &["y"], &["y//zero"]);
        let names = Names::apart_from(model.graph());
        assert_eq!(names.part("y", "zero"), "y///zero");
    }
}
