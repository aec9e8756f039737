//! The smoothed model.

use std::collections::HashMap;

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::Options;
use super::products::Product;
use super::scaled::Scaled;
use crate::calibrate::Data;
use crate::file::{FileError, Output, OutputTensor, describe, embed, kept, source_of};
use crate::graph::{Names, float_tensor, node, prune_descriptions, raise_ir};

/// Divides each activation before its products, and multiplies their weights.
pub(super) fn rewrite(
    model: &OnnxModel,
    mut proto: ModelProto,
    mut graph: GraphProto,
    chosen: &[(Product, Vec<f32>)],
    data: &Data,
    options: &Options,
) -> Result<Output<Scaled>, FileError> {
    let constants = divide(&mut graph, chosen);
    prune_descriptions(&mut graph);
    embed(model, &mut graph, &mut proto.functions)?;
    let mut factors = HashMap::new();
    for (product, of_channels) in chosen {
        factors.extend(product.weights.iter().map(|matrix| (matrix.tensor, (matrix.turned, of_channels))));
    }
    let mut tensors = Vec::new();
    for (index, tensor) in std::mem::take(&mut graph.initializer).into_iter().enumerate() {
        tensors.push(match factors.get(&index) {
            None => kept(model, tensor)?,
            Some((turned, factors)) => OutputTensor::Made(Scaled {
                payload: model.payload(&tensor)?,
                name: tensor.name().to_owned(),
                dims: tensor.dims,
                turned: *turned,
                factors: (*factors).clone(),
            }),
        });
    }
    tensors.extend(constants.into_iter().map(OutputTensor::Whole));
    raise_ir(&mut proto);
    let spec = serde_json::json!({
        "alpha": options.alpha,
        "data": { "digest": data.digest, "samples": data.count() },
    });
    let source = source_of(model, options.source.as_deref())?;
    describe(&mut proto, "smooth", spec.to_string(), Some(&source));
    proto.graph = Some(graph);
    Ok(Output { model: proto, tensors })
}

/// Adds a `Mul` before the first product of each activation; the tensors that they multiply with.
fn divide(graph: &mut GraphProto, chosen: &[(Product, Vec<f32>)]) -> Vec<TensorProto> {
    let mut names = Names::of(graph);
    let mut constants = Vec::new();
    let mut added: HashMap<usize, NodeProto> = HashMap::new();
    for (product, factors) in chosen {
        let input = &product.input;
        let [divisor, value] = ["smoothing", "smooth"].map(|part| names.fresh(&format!("{input}_{part}")));
        let reciprocals: Vec<f32> = factors.iter().map(|factor| 1.0 / factor).collect();
        let channels = i64::try_from(factors.len()).unwrap_or(i64::MAX);
        constants.push(float_tensor(&divisor, &[channels], &reciprocals));
        for index in &product.nodes {
            graph.node[*index].input[0].clone_from(&value);
        }
        let name = names.fresh(&format!("{input}_Smooth"));
        added.extend(
            product.nodes.first().map(|first| (*first, node(name, "Mul", &[input, &divisor], &[&value]))),
        );
    }
    let nodes = std::mem::take(&mut graph.node).into_iter().enumerate();
    graph.node = nodes.flat_map(|(index, node)| added.remove(&index).into_iter().chain([node])).collect();
    constants
}
