//! What follows a convolution or a product and scales its channels becomes part of its weights.
//!
//! Weights are scaled in double precision and rounded once, so outputs differ in the last bits of single
//! precision.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::proto::tensor_proto::DataType as Code;
use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto};
use slipway_model::onnx::{OnnxModel, graphs, is_default_domain, subgraphs_mut};

use super::evaluate::Refusal;
use super::fold::Knowledge;
use super::tensor::{Constant, Tensor};
use crate::file::FileError;
use crate::graph::{Names, flag, float_or, int_or};

/// Lets convolutions and products take over what only scales and shifts their channels; how many nodes went.
///
/// `known` holds the constants; weights that others use too stay as they are, and so do those that take more
/// memory than is left in `budget`.
pub(super) fn absorb(
    model: &OnnxModel,
    root: &mut GraphProto,
    opset: i64,
    known: &Knowledge,
    given: &HashSet<String>,
    budget: &mut u64,
) -> Result<usize, FileError> {
    let (uses, names) = (uses(root), Names::of(root));
    let mut pass = Pass { model, opset, known, given, uses, names, budget, added: Vec::new(), absorbed: 0 };
    pass.graph(root)?;
    let Pass { added, absorbed, .. } = pass;
    root.initializer.extend(added);
    Ok(absorbed)
}

/// How many inputs take each value.
fn uses(root: &GraphProto) -> HashMap<String, usize> {
    let mut uses = HashMap::new();
    let nodes = graphs(root).into_iter().flat_map(|graph| &graph.node);
    for name in nodes.flat_map(|node| &node.input) {
        *uses.entry(name.clone()).or_default() += 1;
    }
    uses
}

struct Pass<'a> {
    model: &'a OnnxModel,
    opset: i64,
    known: &'a Knowledge,
    given: &'a HashSet<String>,
    uses: HashMap<String, usize>,
    names: Names,
    budget: &'a mut u64,
    added: Vec<TensorProto>,
    absorbed: usize,
}

/// An operator whose weight has channels.
struct Linear {
    weight: Tensor,
    /// The axis of the weight's channels.
    axis: usize,
    bias: Option<Tensor>,
    /// The rank of what it gives.
    rank: usize,
}

/// What each channel is multiplied with, and what is added then.
struct Affine {
    factors: Vec<f64>,
    summands: Vec<f64>,
}

impl Pass<'_> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), FileError> {
        let mut nodes: Vec<Option<NodeProto>> = graph.node.drain(..).map(Some).collect();
        let outputs = |(index, node): (usize, &Option<NodeProto>)| {
            node.iter()
                .flat_map(|node| &node.output)
                .map(move |name| (name.clone(), index))
                .collect::<Vec<_>>()
        };
        let producers: HashMap<String, usize> = nodes.iter().enumerate().flat_map(outputs).collect();
        // A node that took one over is not looked at again: its new weights are not known yet.
        let mut changed = HashSet::new();
        for index in 0..nodes.len() {
            let Some(node) = nodes[index].take() else { continue };
            let before = self.data(&node).and_then(|name| producers.get(name)).copied();
            let before = before.filter(|before| !changed.contains(before));
            let merged = match before.and_then(|before| nodes[before].as_ref()) {
                Some(linear) => self.merged(linear, &node)?,
                None => None,
            };
            match before.zip(merged) {
                Some((before, merged)) => {
                    nodes[before] = Some(merged);
                    changed.insert(before);
                    self.absorbed += 1;
                }
                None => nodes[index] = Some(node),
            }
        }
        graph.node = nodes.into_iter().flatten().collect();
        graph.node.iter_mut().flat_map(subgraphs_mut).try_for_each(|inner| self.graph(inner))
    }

    /// The one value that a node scales and shifts, where it does nothing else.
    fn data<'n>(&self, node: &'n NodeProto) -> Option<&'n str> {
        let op = node.op_type();
        if !is_default_domain(node.domain()) || self.opset < 7 || node.output.len() != 1 {
            return None;
        }
        let is_norm =
            op == "BatchNormalization" && !flag(node, "training_mode") && int_or(node, "spatial", 1) == 1;
        let (first, second) = (node.input.first()?, node.input.get(1)?);
        let is_constant = |name: &String| self.known.constants.contains_key(name);
        match op {
            "Add" | "Mul" if is_constant(first) => Some(second),
            "Add" | "Mul" | "Sub" | "Div" if is_constant(second) => Some(first),
            _ => is_norm.then_some(first),
        }
        .map(String::as_str)
    }

    /// Both nodes as one, if they may be.
    fn merged(&mut self, node: &NodeProto, after: &NodeProto) -> Result<Option<NodeProto>, FileError> {
        let alone = |name: &String| self.uses.get(name) == Some(&1) && !self.given.contains(name);
        let weight = node.input.get(1).filter(|weight| alone(weight));
        if weight.is_none() || !node.output.first().is_some_and(alone) {
            return Ok(None);
        }
        let made = self.linear(node).and_then(|linear| {
            let affine = self.affine(after, linear.weight.dims[linear.axis], linear.rank)?;
            Ok(linear.scaled(&affine))
        });
        match made {
            Ok(Some((weight, bias))) if self.pays(&weight) => Ok(Some(self.with(node, after, weight, bias))),
            Err(Refusal::File(error)) => Err(error),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Whether there is memory left for a weight, which is then taken.
    fn pays(&mut self, weight: &Tensor) -> bool {
        let left = self.budget.checked_sub(weight.bytes.len() as u64);
        *self.budget = left.unwrap_or(*self.budget);
        left.is_some()
    }

    /// The first node with other weights, and with the second one's output.
    fn with(&mut self, node: &NodeProto, after: &NodeProto, weight: Tensor, bias: Tensor) -> NodeProto {
        let mut add = |tensor: Tensor, wish: &str| {
            let name = self.names.fresh(wish);
            self.added.push(Constant::from(tensor).initializer(&name));
            name
        };
        let input = vec![
            node.input[0].clone(),
            add(weight, &format!("{}_scaled", node.input[1])),
            add(bias, &format!("{}_bias", after.output[0])),
        ];
        NodeProto { input, output: after.output.clone(), ..node.clone() }
    }

    fn linear(&self, node: &NodeProto) -> Result<Linear, Refusal> {
        let one = |name: &str| float_or(node, name, 1.0).to_bits() == 1.0_f32.to_bits();
        let axis = match node.op_type() {
            _ if !is_default_domain(node.domain()) || node.output.len() != 1 => return Err(Refusal::Unknown),
            "Conv" => 0,
            "ConvTranspose" if int_or(node, "group", 1) == 1 => 1,
            "Gemm" if one("alpha") && one("beta") => usize::from(!flag(node, "transB")),
            _ => return Err(Refusal::Unknown),
        };
        let weight = self.floats(node.input.get(1))?;
        let rank = weight.dims.len();
        if rank < 2 || (rank > 2) == (node.op_type() == "Gemm") {
            return Err(Refusal::Unknown);
        }
        let bias = node.input.get(2).filter(|name| !name.is_empty());
        let bias = bias.map(|name| self.floats(Some(name))).transpose()?;
        let fits = bias.as_ref().is_none_or(|bias| bias.dims == [weight.dims[axis]]);
        if fits { Ok(Linear { weight, axis, bias, rank }) } else { Err(Refusal::Unknown) }
    }

    /// A constant of single floats.
    fn floats(&self, name: Option<&String>) -> Result<Tensor, Refusal> {
        let constant = name.and_then(|name| self.known.constants.get(name));
        constant.filter(|constant| constant.code == Code::Float).ok_or(Refusal::Unknown)?.load(self.model)
    }

    fn affine(&self, node: &NodeProto, channels: usize, rank: usize) -> Result<Affine, Refusal> {
        if node.op_type() == "BatchNormalization" {
            return self.normalization(node, channels);
        }
        let first = node.input.first().filter(|name| self.known.constants.contains_key(*name));
        let constant = self.floats(first.or(node.input.get(1)))?;
        let values = per_channel(&constant, channels, rank)?;
        let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
        Ok(match node.op_type() {
            "Add" => Affine { factors: ones, summands: values },
            "Sub" => Affine { factors: ones, summands: values.iter().map(|value| -value).collect() },
            "Mul" => Affine { factors: values, summands: zeros },
            _ => Affine { factors: values.iter().map(|value| value.recip()).collect(), summands: zeros },
        })
    }

    fn normalization(&self, node: &NodeProto, channels: usize) -> Result<Affine, Refusal> {
        let vector = |index: usize| {
            let tensor = self.floats(node.input.get(index))?;
            let fits = tensor.dims == [channels];
            let values: Vec<f64> = tensor.values::<f32>().map(f64::from).collect();
            if fits { Ok(values) } else { Err(Refusal::Unknown) }
        };
        let (scale, shift, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
        let epsilon = f64::from(float_or(node, "epsilon", 1e-5));
        let factors: Vec<f64> = scale
            .iter()
            .zip(&variance)
            .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
            .collect();
        let summands =
            shift.iter().zip(&mean).zip(&factors).map(|((shift, mean), factor)| shift - mean * factor);
        Ok(Affine { summands: summands.collect(), factors })
    }
}

/// One value for each channel, which is the second axis of what is scaled.
fn per_channel(constant: &Tensor, channels: usize, rank: usize) -> Result<Vec<f64>, Refusal> {
    let missing = rank.checked_sub(constant.dims.len()).ok_or(Refusal::Unknown)?;
    let fits = |(at, dim): (usize, &usize)| *dim == 1 || (at + missing == 1 && *dim == channels);
    if !constant.dims.iter().enumerate().all(fits) {
        return Err(Refusal::Unknown);
    }
    let values: Vec<f64> = constant.values::<f32>().map(f64::from).collect();
    Ok(if values.len() == 1 { vec![values[0]; channels] } else { values })
}

impl Linear {
    /// Weight and bias with the channels scaled and shifted; `None` when a value would not be finite.
    fn scaled(&self, affine: &Affine) -> Option<(Tensor, Tensor)> {
        let Affine { factors, summands } = affine;
        let inner: usize = self.weight.dims[self.axis + 1..].iter().product();
        let channels = factors.len();
        let channel = |place: usize| (place / inner.max(1)) % channels.max(1);
        let weights = self.weight.values::<f32>().enumerate();
        let weights = weights.map(|(place, value)| single(f64::from(value) * factors[channel(place)]));
        let weights = weights.collect::<Option<Vec<f32>>>()?;
        let biases = match &self.bias {
            Some(bias) => bias.values::<f32>().map(f64::from).collect(),
            None => vec![0.0; channels],
        };
        let biases = biases.iter().zip(factors).zip(summands);
        let biases = biases.map(|((bias, factor), summand)| single(bias * factor + summand));
        let biases = biases.collect::<Option<Vec<f32>>>()?;
        Some((Tensor::new(self.weight.dims.clone(), weights), Tensor::new(vec![channels], biases)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "this is where a weight is rounded, once")]
fn single(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::build::ModelBuilder;

    use super::super::report::Change;
    use super::super::{Options, Work};
    use super::*;
    use crate::progress::Silent;

    /// Two products, each scaled behind.
    fn model() -> ModelBuilder {
        let square: Vec<f32> = (0_u8..64).map(f32::from).collect();
        let scale: Vec<f32> = (1_u8..=8).map(f32::from).collect();
        ModelBuilder::new()
            .input("x", &[-1, 8])
            .output("y", &[-1, 8])
            .floats("w", &[8, 8], &square)
            .floats("v", &[8, 8], &square[1..].iter().copied().chain([3.0]).collect::<Vec<_>>())
            .floats("s", &[8], &scale)
            .node("Gemm", &["x", "w"], &["a"])
            .node("Mul", &["a", "s"], &["b"])
            .node("Gemm", &["b", "v"], &["c"])
            .node("Mul", &["c", "s"], &["y"])
    }

    #[test]
    fn weights_are_scaled_as_long_as_there_is_memory_for_them() {
        const WEIGHT: u64 = 8 * 8 * 4;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        model().write(&path).unwrap();
        let model = OnnxModel::open(&path).unwrap();
        for (budget, absorbed) in [(WEIGHT - 1, None), (2 * WEIGHT - 1, Some(1)), (2 * WEIGHT, Some(2))] {
            let mut work = Work::new(&model);
            work.budget = budget;
            work.all(&mut model.proto().clone(), &Options::default(), &Silent).unwrap();
            let counts = work.changes.into_counts();
            assert_eq!(counts.get(&Change::NodeAbsorbed).copied(), absorbed, "{budget}");
        }
    }
}
