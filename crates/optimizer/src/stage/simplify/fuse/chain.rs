//! The nodes of one graph, followed from a value back to what it is made of.

use std::collections::{BTreeSet, HashMap, HashSet};

use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::tensor_proto::DataType as Code;
use slipway_model::onnx::proto::{AttributeProto, GraphProto, NodeProto};

use crate::graph::{int_or, ints_of};
use crate::stage::simplify::fold::Knowledge;
use crate::stage::simplify::infer::Info;
use crate::stage::simplify::tensor::Constant;

/// The first opset whose operators broadcast by themselves.
const BROADCASTS: i64 = 7;

/// Nodes that one node does the work of.
pub(super) struct Chain {
    /// Those that go, by their places in the graph.
    pub(super) nodes: BTreeSet<usize>,
    /// The one whose place and output the fused node takes.
    pub(super) last: usize,
    pub(super) fused: NodeProto,
}

/// One graph, and what is known of its values.
pub(super) struct Chains<'a> {
    pub(super) graph: &'a GraphProto,
    known: &'a Knowledge,
    given: &'a HashSet<String>,
    /// How many inputs of the whole model take each value.
    uses: &'a HashMap<String, usize>,
    producers: HashMap<&'a str, usize>,
    opset: i64,
}

/// A node that gives one value, of ONNX's own domain.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) place: usize,
    pub(super) node: &'a NodeProto,
}

impl Chain {
    /// The chain that ends in a step, with an operator in its place that has the name and the output of the step.
    pub(super) fn ending(
        last: Step<'_>,
        nodes: BTreeSet<usize>,
        (domain, op): (&str, &str),
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Self {
        let fused = NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            op_type: Some(op.to_owned()),
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
            attribute,
            ..last.node.clone()
        };
        Self { nodes, last: last.place, fused }
    }
}

impl<'a> Step<'a> {
    pub(super) fn op(self) -> &'a str {
        self.node.op_type()
    }

    /// The two values that it takes; `None` for another number.
    pub(super) fn pair(self) -> Option<(&'a str, &'a str)> {
        match self.node.input.as_slice() {
            [first, second] => Some((first, second)),
            _ => None,
        }
    }
}

impl<'a> Chains<'a> {
    pub(super) fn of(
        graph: &'a GraphProto,
        known: &'a Knowledge,
        given: &'a HashSet<String>,
        uses: &'a HashMap<String, usize>,
        opset: i64,
    ) -> Self {
        let outputs = |(place, node): (usize, &'a NodeProto)| {
            node.output.iter().map(move |name| (name.as_str(), place))
        };
        let producers = graph.node.iter().enumerate().flat_map(outputs).collect();
        Self { graph, known, given, uses, producers, opset }
    }

    /// Every node at which a chain may end, the last first, so that of two ends the farther one is found.
    pub(super) fn ends(&self) -> impl Iterator<Item = Step<'a>> {
        (0..self.graph.node.len()).rev().filter_map(|place| self.step(place))
    }

    fn step(&self, place: usize) -> Option<Step<'a>> {
        let node = &self.graph.node[place];
        let fits = self.opset >= BROADCASTS && is_default_domain(node.domain()) && node.output.len() == 1;
        fits.then_some(Step { place, node })
    }

    /// What gives a value that nobody else sees: so many inputs take it, and it is no output.
    pub(super) fn inner(&self, name: &str, uses: usize) -> Option<Step<'a>> {
        let is_inner = self.uses.get(name) == Some(&uses) && !self.given.contains(name);
        self.step(*self.producers.get(name).filter(|_| is_inner)?)
    }

    /// A constant, if a value is one.
    fn constant(&self, name: &str) -> Option<&'a Constant> {
        self.known.constants.get(name)
    }

    pub(super) fn is_constant(&self, name: &str) -> bool {
        self.constant(name).is_some()
    }

    /// A constant of one single float, and its number of dimensions.
    pub(super) fn number(&self, name: &str) -> Option<(f64, usize)> {
        let constant = self.constant(name).filter(|constant| constant.code == Code::Float)?;
        Some((f64::from(constant.one::<f32>()?), constant.dims.len()))
    }

    /// A constant of one small whole number, of whatever type an exponent may have, and its number of dimensions.
    pub(super) fn exponent(&self, name: &str) -> Option<(i64, usize)> {
        let constant = self.constant(name)?;
        let value = match constant.code {
            Code::Int32 => constant.one::<i32>().map(i64::from),
            Code::Int64 => constant.one::<i64>(),
            Code::Float => constant.one::<f32>().and_then(|value| {
                [(2.0_f32, 2), (3.0, 3)]
                    .iter()
                    .find(|(float, _)| float.to_bits() == value.to_bits())
                    .map(|(_, whole)| *whole)
            }),
            _ => None,
        };
        Some((value?, constant.dims.len()))
    }

    /// The length of a constant vector of single floats.
    pub(super) fn vector(&self, name: &str) -> Option<usize> {
        let constant = self.constant(name).filter(|constant| constant.code == Code::Float)?;
        <[usize; 1]>::try_from(constant.dims.as_slice()).ok().map(|[length]| length)
    }

    /// Whether a value has at least so many dimensions, so that constants of as many add none.
    pub(super) fn has_rank(&self, name: &str, rank: usize) -> bool {
        rank == 0 || self.known.rank(name).is_some_and(|own| own >= rank)
    }

    /// The size of a value's last dimension.
    pub(super) fn last_size(&self, name: &str) -> Option<usize> {
        *self.known.infos.get(name)?.dims.as_ref()?.last()?
    }

    /// Whether a reduction is over the last axis alone, and keeps it.
    pub(super) fn reduces_last(&self, step: Step<'a>) -> bool {
        let axes = match step.node.input.get(1).filter(|name| !name.is_empty()) {
            Some(name) => self.known.infos.get(name).and_then(Info::whole),
            None => ints_of(step.node, "axes").map(<[i64]>::to_vec),
        };
        let rank = step.node.input.first().and_then(|name| self.known.rank(name));
        let last = rank.and_then(|rank| i64::try_from(rank).ok()).map(|rank| rank - 1);
        let is_last = |at: i64| at == -1 || Some(at) == last;
        axes.is_some_and(|axes| matches!(axes[..], [at] if is_last(at)))
            && int_or(step.node, "keepdims", 1) == 1
    }
}
