//! The products whose biases can be corrected, and where those biases are.

use std::collections::HashMap;
use std::sync::Arc;

use slipway_model::onnx::proto::{GraphProto, NodeProto};
use slipway_model::onnx::{DataType, OnnxModel, is_default_domain};

use super::takers;
use super::window::Window;
use crate::file::{FileError, MakeError, Reader};
use crate::graph::{Names, Operand, Scopes, Unresolved, flag, float_or, int_or, node_name};
use crate::stage::quantize::form::Site;
use crate::stage::quantize::select::{Selection, Wanted};
use crate::stage::quantize::weight::CorrectedBias;

/// The axis of an activation that counts what goes into a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Along {
    /// The second: the channels of what a convolution takes.
    Second,
    /// The last: the rows of a matrix.
    Last,
}

/// A product with a quantized weight, and the bias that is going to be its own.
#[derive(Debug)]
pub(super) struct Product {
    /// Its place among the nodes of the main graph.
    pub(super) node: usize,
    name: String,
    /// What goes into it.
    pub(super) input: String,
    pub(super) along: Along,
    /// How many channels of it there are.
    pub(super) depth: usize,
    /// How its kernel moves over them; of one point where it is a matrix.
    pub(super) window: Window,
    /// The node that takes the bias, and at which place.
    pub(super) at: (usize, usize),
    /// The name of the new bias.
    pub(super) bias: String,
    pub(super) dims: Vec<i64>,
    pub(super) values: Vec<f32>,
    /// What the sums are multiplied with before the bias is added.
    pub(super) factor: f32,
    /// The constant whose place it takes.
    pub(super) replaces: Option<String>,
}

impl Product {
    /// Its bias, to be made with its weight.
    pub(super) fn corrected(&self, means: Arc<[f64]>) -> CorrectedBias {
        CorrectedBias {
            name: self.bias.clone(),
            dims: self.dims.clone(),
            values: self.values.clone(),
            factor: self.factor,
            means,
        }
    }

    /// Why its bias is not corrected.
    pub(super) fn note(&self, reason: &str) -> String {
        note(&self.name, reason)
    }
}

fn note(product: &str, reason: &str) -> String {
    format!("the bias of {product:?} is not corrected: {reason}")
}

/// Every product that can be corrected, in the order of the graph; a sentence on each other.
pub(super) fn find(
    model: &OnnxModel,
    graph: &GraphProto,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Result<Vec<Product>, FileError> {
    let finder = Finder { model, graph, scopes: Scopes::of(graph), takers: takers(graph) };
    let mut names = Names::of(graph);
    let mut found = Vec::new();
    for (index, node) in graph.node.iter().enumerate() {
        let site = selection.sites.get(&(0, index)).filter(|_| multiplies(node));
        let Some(weight) = site.and_then(Site::weight) else { continue };
        match finder.product(index, node, &selection.weights[weight], &mut names)? {
            Ok(product) => found.push(product),
            Err(reason) => notes.push(note(node_name(node), reason)),
        }
    }
    Ok(found)
}

/// How many channels go into a product.
fn depth(node: &NodeProto, weight: &Wanted, kernel: &[i64]) -> Result<usize, &'static str> {
    let (elements, taps): (i64, i64) = (weight.dims.iter().product(), kernel.iter().product());
    let width = weight.dims[weight.axes.channels];
    let groups = if node.op_type() == "Conv" { int_or(node, "group", 1) } else { 1 };
    if !(1..=width).contains(&groups) || width % groups != 0 {
        return Err("its groups do not divide its channels");
    }
    let depth = elements / width / taps.max(1) * groups;
    usize::try_from(depth).map_err(|_| "it has no channels")
}

fn multiplies(node: &NodeProto) -> bool {
    is_default_domain(node.domain()) && matches!(node.op_type(), "MatMul" | "Gemm" | "Conv")
}

struct Finder<'a> {
    model: &'a OnnxModel,
    graph: &'a GraphProto,
    scopes: Scopes<'a>,
    takers: HashMap<&'a str, Vec<(usize, usize)>>,
}

/// Where a bias goes, and what stands there.
struct Place {
    at: (usize, usize),
    dims: Vec<i64>,
    replaces: Option<(String, Operand)>,
}

impl Finder<'_> {
    fn product(
        &self,
        index: usize,
        node: &NodeProto,
        weight: &Wanted,
        names: &mut Names,
    ) -> Result<Result<Product, &'static str>, FileError> {
        let place = match self.refused(node, weight).map_or_else(|| self.place(index, node, weight), Err) {
            Ok(place) => place,
            Err(reason) => return Ok(Err(reason)),
        };
        let width = weight.dims[weight.axes.channels];
        let values = match &place.replaces {
            Some((name, operand)) => self.floats(name, operand)?,
            None => vec![0.0; usize::try_from(width).unwrap_or_default()],
        };
        let kernel = weight.dims.get(2..).unwrap_or_default();
        let (depth, window) = match (depth(node, weight, kernel), Window::of(node, kernel)) {
            (Ok(depth), Ok(window)) => (depth, window),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
        };
        let output = node.output.first().map_or("", String::as_str);
        Ok(Ok(Product {
            node: index,
            name: node_name(node).to_owned(),
            input: node.input[0].clone(),
            along: if node.op_type() == "Conv" { Along::Second } else { Along::Last },
            depth,
            window,
            at: place.at,
            bias: names.fresh(&format!("{output}_bias")),
            dims: place.dims,
            values,
            factor: if node.op_type() == "Gemm" { float_or(node, "alpha", 1.0) } else { 1.0 },
            replaces: place.replaces.map(|(name, _)| name),
        }))
    }

    /// Why what goes into a product is not known channel by channel.
    fn refused(&self, node: &NodeProto, weight: &Wanted) -> Option<&'static str> {
        let single = |name: &str| {
            self.scopes.resolve(0, name).is_ok_and(|operand| operand.data_type == DataType::FLOAT.code())
        };
        if weight.axes.batch > 0 {
            Some("its weight is more than one matrix")
        } else if !matches!(self.scopes.resolve(0, &node.input[0]), Err(Unresolved::Computed)) {
            Some("it takes a constant")
        } else if node.op_type() == "Gemm" && flag(node, "transA") {
            Some("it takes its input transposed")
        } else if !single(&node.input[1]) {
            Some("it computes in floats of 16 bits")
        } else {
            None
        }
    }

    fn place(&self, index: usize, node: &NodeProto, weight: &Wanted) -> Result<Place, &'static str> {
        let width = weight.dims[weight.axes.channels];
        if node.op_type() == "MatMul" {
            return self.behind(node, width);
        }
        if node.op_type() == "Gemm" && float_or(node, "beta", 1.0).to_bits() != 1.0_f32.to_bits() {
            return Err("its bias is multiplied");
        }
        let bias = node.input.get(2).filter(|bias| !bias.is_empty());
        let Some(bias) = bias else {
            return Ok(Place { at: (index, 2), dims: vec![width], replaces: None });
        };
        let operand = self.list(bias, width).ok_or("its bias is computed, or not one float a channel")?;
        Ok(Place { at: (index, 2), dims: vec![width], replaces: Some((bias.clone(), operand)) })
    }

    /// The constant that is added behind a `MatMul`.
    fn behind(&self, node: &NodeProto, width: i64) -> Result<Place, &'static str> {
        const NONE: &str = "no constant of one float a channel is added to it";
        let output = node.output.first().map_or("", String::as_str);
        let Some([(taker, place)]) = self.takers.get(output).map(Vec::as_slice) else { return Err(NONE) };
        let add = &self.graph.node[*taker];
        let other = 1 - place.min(&1);
        let name = add.input.get(other).filter(|_| is_default_domain(add.domain()) && add.op_type() == "Add");
        let operand = name.and_then(|name| Some((name.clone(), self.list(name, width)?))).ok_or(NONE)?;
        Ok(Place { at: (*taker, other), dims: operand.1.dims.clone(), replaces: Some(operand) })
    }

    /// A constant of one float a channel, along its last axis.
    fn list(&self, name: &str, width: i64) -> Option<Operand> {
        let operand = self.scopes.resolve(0, name).ok()?;
        let tensor = self.scopes.tensor(operand.source);
        let single = [operand.data_type, tensor.data_type()].map(|code| code == DataType::FLOAT.code());
        let fits = operand.dims.last() == Some(&width) && operand.dims.iter().product::<i64>() == width;
        (single == [true; 2] && fits && !operand.transposed).then_some(operand)
    }

    fn floats(&self, name: &str, operand: &Operand) -> Result<Vec<f32>, FileError> {
        let tensor = self.scopes.tensor(operand.source);
        let count: i64 = operand.dims.iter().product();
        let mut values = vec![0.0; usize::try_from(count).unwrap_or_default()];
        let payload = self.model.payload(tensor)?;
        let read = Reader::open(&payload, DataType::FLOAT).and_then(|mut reader| reader.read(0, &mut values));
        let finite = read.and_then(|()| {
            let is_finite = values.iter().all(|value| value.is_finite());
            is_finite.then_some(values).ok_or(MakeError::NotFinite)
        });
        finite.map_err(|error| error.of_tensor(name, self.model.folder()))
    }
}
