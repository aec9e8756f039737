//! Bias correction: biases that make up for what quantization adds to the sums of their products.
//!
//! [`Corrections::of`] finds the products with a quantized weight and runs the model for the means of what goes into them.
//! Before operators are chosen, [`Corrections::prepare`] gives each product a bias of its own, and when the tensors of the
//! result are known, [`Corrections::attach`] lets the weight make it. What a weight adds is known when it is quantized:
//! see [`expected`](super::weight).

mod means;
mod products;
mod window;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::{GraphProto, ModelProto, ValueInfoProto};

use super::choice::choose;
use super::form::Site;
use super::select::Selection;
use super::weight::Weight;
use super::{Options, QuantizeError};
use crate::file::{Output, OutputTensor};
use crate::graph::{Scopes, float_tensor};
use crate::progress::Progress;
use products::Product;

/// The biases that are going to be corrected.
#[derive(Debug, Default)]
pub(super) struct Corrections {
    products: Vec<(Product, Arc<[f64]>)>,
    notes: Vec<String>,
}

impl Corrections {
    /// Looks at what goes into the products of a model; nothing where no data is given for it.
    pub(super) fn of(
        model: &OnnxModel,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Self, QuantizeError> {
        let Some(data) = &options.bias_correction else { return Ok(Self::default()) };
        let chosen = choose(model, options, &BTreeMap::new(), &Self::default())?;
        let graph = chosen.proto.graph.as_ref().expect("a model without a graph is refused on opening");
        let mut notes = Vec::new();
        let found = products::find(model, graph, &chosen.selection, &mut notes)?;
        let means = means::of(&found, model.path(), data, progress)?;
        let mut products = Vec::new();
        for (product, means) in found.into_iter().zip(means) {
            match means {
                Ok(means) => products.push((product, means)),
                Err(reason) => notes.push(product.note(&reason)),
            }
        }
        notes.sort();
        Ok(Self { products, notes })
    }

    /// Gives each product a bias of its own.
    pub(super) fn prepare(&self, proto: &mut ModelProto) {
        let Some(graph) = &mut proto.graph else { return };
        for (product, _) in &self.products {
            graph.initializer.push(float_tensor(&product.bias, &product.dims, &product.values));
            let inputs = &mut graph.node[product.at.0].input;
            inputs.resize(inputs.len().max(product.at.1 + 1), String::new());
            inputs[product.at.1].clone_from(&product.bias);
        }
    }

    /// Lets the constants go whose place those biases took, where nothing else uses them.
    pub(super) fn replace(&self, graph: &GraphProto, selection: &mut Selection) {
        if self.products.is_empty() {
            return;
        }
        let scopes = Scopes::of(graph);
        for name in self.products.iter().filter_map(|(product, _)| product.replaces.as_ref()) {
            if let Ok(operand) = scopes.resolve(0, name) {
                selection.biases.push(operand.source);
                selection.path.extend(operand.path);
            }
        }
        let own: HashSet<&str> = self.products.iter().map(|(product, _)| product.bias.as_str()).collect();
        selection.vectors.retain(|name| !own.contains(name.as_str()));
    }

    /// Lets the weights make the biases of their products; sentences on those that nobody corrects.
    pub(super) fn attach(&self, output: &mut Output<Weight>, selection: &Selection) -> Vec<String> {
        let present: HashSet<String> = output.tensors.iter().filter_map(name).map(str::to_owned).collect();
        let mut made = HashSet::new();
        let mut weights = output.made();
        for (product, means) in &self.products {
            let weight = selection.sites.get(&(0, product.node)).and_then(Site::weight);
            let Some(weight) = weight.map(|index| &mut *weights[index]) else { continue };
            let integers =
                weight.biases.iter_mut().find(|bias| bias.tensor.bias.tensor.name() == product.bias);
            if let Some(bias) = integers {
                bias.means = Some(means.clone());
            } else if present.contains(&product.bias) {
                weight.corrected.push(product.corrected(means.clone()));
                made.insert(product.bias.as_str());
            }
        }
        output.tensors.retain(|tensor| name(tensor).is_none_or(|name| !made.contains(name)));
        self.notes.clone()
    }
}

/// The name of a tensor that is there already.
fn name(tensor: &OutputTensor<Weight>) -> Option<&str> {
    match tensor {
        OutputTensor::Whole(tensor) | OutputTensor::Copied(tensor, _) => Some(tensor.name()),
        OutputTensor::Made(_) => None,
    }
}

/// Who takes each value, as node and place; nothing where a graph gives it, or one inside takes it.
fn takers(graph: &GraphProto) -> HashMap<&str, Vec<(usize, usize)>> {
    let mut takers: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for (place, name) in node.input.iter().enumerate() {
            takers.entry(name).or_default().push((index, place));
        }
    }
    let inner = slipway_model::onnx::graphs(graph).into_iter().skip(1);
    let inside = inner.flat_map(|graph| &graph.node).flat_map(|node| &node.input).map(String::as_str);
    let given = graph.output.iter().map(ValueInfoProto::name);
    for name in inside.chain(given) {
        takers.remove(name);
    }
    takers
}
