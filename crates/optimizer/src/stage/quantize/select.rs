//! Which operators are quantized, in which form, and why the others are not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto};
use slipway_model::onnx::{DataType, is_default_domain};

use super::form::{Site, consider, qdq_site};
use super::qdq::Plan;
use super::rules::first_match;
use super::weight::{Inputs, Loss};
use super::{Candidate, Form, Options, Skipped};
use crate::graph::{GraphId, Operand, Scopes, Source, Unresolved, is_float, node_name};

/// What the axes of a constant are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Axes {
    /// The axis of its channels.
    pub(super) channels: usize,
    /// How many of the first axes count matrices.
    pub(super) batch: usize,
}

impl Axes {
    /// The dimensions that spread one value a channel over the constant.
    pub(super) fn scale_dims(self, dims: &[i64]) -> Vec<i64> {
        let keeps = |axis| axis < self.batch || axis == self.channels;
        dims.iter().enumerate().map(|(axis, dim)| if keeps(axis) { *dim } else { 1 }).collect()
    }
}

/// Forms of one kind can share what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Signed,
    Unsigned,
    Blocks,
}

impl Kind {
    fn of(form: Form) -> Self {
        match form {
            Form::MatMulInteger
            | Form::GatherInteger
            | Form::DynamicQuantizeLstm
            | Form::Expanded
            | Form::Qdq => Self::Signed,
            Form::ConvInteger => Self::Unsigned,
            Form::MatMulNBits => Self::Blocks,
        }
    }
}

/// A constant tensor, as its users want it stored.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) source: Source,
    /// The name it is known by.
    pub(super) name: String,
    /// Its dimensions for its users, before any transposition.
    pub(super) dims: Vec<i64>,
    pub(super) axes: Axes,
    pub(super) form: Form,
    /// Whether sums of products with its integers must not saturate.
    pub(super) is_multiplied: bool,
    /// How many inputs of nodes it is.
    pub(super) users: usize,
    /// What its users multiply it with.
    pub(super) inputs: Inputs,
    /// Whether a user takes it as it is stored, and whether one takes it transposed.
    pub(super) straight: bool,
    pub(super) transposed: bool,
}

/// What to do with each node.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) sites: HashMap<(GraphId, usize), Site>,
    pub(super) weights: Vec<Wanted>,
    /// Biases that become integers.
    pub(super) biases: Vec<Source>,
    /// Nodes between constants and their users: dropped when nothing else uses them.
    pub(super) path: BTreeSet<(GraphId, usize)>,
    /// Nodes that stay as they are, each with the reason.
    pub(super) skipped: BTreeMap<(GraphId, usize), Skipped>,
    /// Large float constants that stay and are no node's input.
    pub(super) apart: Vec<Skipped>,
    /// Large float constants of one dimension.
    pub(super) vectors: BTreeSet<String>,
    /// The activations that become integers.
    pub(super) plan: Plan,
    /// The operators that multiply with a quantized weight, or look it up, in the order of the graph.
    pub(super) users: Vec<Candidate>,
}

impl Selection {
    /// Everything that stays, in the order of the graphs.
    pub(super) fn skipped(&mut self) -> Vec<Skipped> {
        let nodes = std::mem::take(&mut self.skipped).into_values();
        nodes.chain(std::mem::take(&mut self.apart)).collect()
    }
}

/// Looks at every node of a model's graph and of those inside it.
///
/// `integers` says whether the operators that the method's integers need may be used; weights named in `lost` stay
/// float.
pub(super) fn select(
    model: &ModelProto,
    graph: &GraphProto,
    options: &Options,
    integers: bool,
    lost: &BTreeMap<String, Loss>,
) -> Selection {
    let scopes = Scopes::of(graph);
    let mut selector = Selector::new(&scopes, options, integers, lost);
    let floats = selector.plan(graph);
    for (id, graph) in scopes.graphs() {
        for (place, node) in graph.node.iter().enumerate() {
            selector.node(id, place, node);
        }
    }
    selector.tell(graph, &floats);
    selector.account(model);
    selector.found
}

pub(super) struct Selector<'a> {
    pub(super) scopes: &'a Scopes<'a>,
    pub(super) options: &'a Options,
    pub(super) integers: bool,
    pub(super) lost: &'a BTreeMap<String, Loss>,
    known: HashMap<(Source, Vec<i64>, Axes, Kind), usize>,
    pub(super) found: Selection,
}

impl<'a> Selector<'a> {
    pub(super) fn new(
        scopes: &'a Scopes<'a>,
        options: &'a Options,
        integers: bool,
        lost: &'a BTreeMap<String, Loss>,
    ) -> Self {
        Self { scopes, options, integers, lost, known: HashMap::new(), found: Selection::default() }
    }

    fn node(&mut self, graph: GraphId, place: usize, node: &NodeProto) {
        if !is_default_domain(node.domain()) {
            return;
        }
        let before = self.quantized_inputs();
        let planned = if graph == 0 { self.found.plan.nodes.get(&place).cloned() } else { None };
        let site = match planned {
            Some(places) => qdq_site(self, node, &places),
            None => consider(self, graph, node),
        };
        match site {
            Ok(site) => {
                self.found.sites.insert((graph, place), site);
                if self.quantized_inputs() > before {
                    self.found.users.push(Candidate::of(node));
                }
            }
            Err(Unresolved::Because(reason)) => {
                self.found.skipped.insert((graph, place), Skipped::of(node, reason));
            }
            Err(Unresolved::Computed) => {}
        }
    }

    /// How many inputs of nodes are quantized weights.
    fn quantized_inputs(&self) -> usize {
        self.found.weights.iter().map(|weight| weight.users).sum()
    }

    /// The constant behind an input, if it may be quantized.
    pub(super) fn operand(
        &self,
        graph: GraphId,
        node: &NodeProto,
        input: usize,
    ) -> Result<Operand, Unresolved> {
        let name = node.input.get(input).filter(|name| !name.is_empty()).ok_or(Unresolved::Computed)?;
        let operand = self.scopes.resolve(graph, name)?;
        match self.reason_to_keep(&operand, node, name) {
            Some(reason) => Err(Unresolved::Because(reason)),
            None => Ok(operand),
        }
    }

    /// Whether a rule keeps a node as it is.
    pub(super) fn is_kept(&self, node: &NodeProto) -> bool {
        first_match(&self.options.rules, &[node_name(node)]).is_some_and(|rule| rule.keep_float)
    }

    /// A constant goes where nothing else uses it: something else takes its place.
    pub(super) fn replace(&mut self, operand: &Operand) {
        self.found.biases.push(operand.source);
        self.found.path.extend(operand.path.iter().copied());
    }

    fn reason_to_keep(&self, operand: &Operand, node: &NodeProto, name: &str) -> Option<String> {
        let own = self.scopes.name(operand.source);
        if first_match(&self.options.rules, &[node_name(node), own, name]).is_some_and(|rule| rule.keep_float)
        {
            return Some("a rule keeps it".to_owned());
        }
        if let Some(loss) = self.lost.get(own) {
            return Some(format!("{own:?}: {loss}"));
        }
        if !is_float(self.scopes.tensor(operand.source).data_type()) {
            return Some("the weight is not of a float type of 16 or 32 bits".to_owned());
        }
        let elements: i64 = operand.dims.iter().product();
        let too_few = elements.unsigned_abs() < self.options.least_elements;
        too_few.then(|| format!("the weight has {elements} elements, too few to gain anything"))
    }

    /// Wants a constant stored with its channels along one of its own axes.
    pub(super) fn want(&mut self, operand: &Operand, axes: Axes, form: Form, transposed: bool) -> usize {
        let kind = Kind::of(form);
        let key = (operand.source, operand.dims.clone(), axes, kind);
        let index = *self.known.entry(key).or_insert_with(|| {
            self.found.weights.push(Wanted {
                source: operand.source,
                name: self.scopes.name(operand.source).to_owned(),
                dims: operand.dims.clone(),
                axes,
                form,
                is_multiplied: false,
                users: 0,
                inputs: Inputs::default(),
                straight: false,
                transposed: false,
            });
            self.found.weights.len() - 1
        });
        let weight = &mut self.found.weights[index];
        weight.is_multiplied |= match form {
            Form::MatMulInteger | Form::ConvInteger | Form::DynamicQuantizeLstm | Form::Qdq => true,
            Form::GatherInteger | Form::MatMulNBits | Form::Expanded => false,
        };
        weight.users += 1;
        weight.straight |= !transposed;
        weight.transposed |= transposed;
        self.found.path.extend(operand.path.iter().copied());
        index
    }

    /// Notes what a product takes beside its weight, whose last axis is that of the sums unless it is turned.
    pub(super) fn multiplied(
        &mut self,
        weight: usize,
        graph: GraphId,
        node: &NodeProto,
        turned: bool,
        data_type: i32,
    ) {
        let name = node.input.first().map_or("", String::as_str);
        let reason = if graph != 0 {
            "a product lies in a graph inside the main one"
        } else if !matches!(self.scopes.resolve(graph, name), Err(Unresolved::Computed)) {
            "a product takes a constant"
        } else if turned {
            "a product takes its input transposed"
        } else if data_type != DataType::FLOAT.code() {
            "a product computes in floats of 16 bits"
        } else {
            return self.found.weights[weight].inputs.add(name);
        };
        self.found.weights[weight].inputs.hide(reason);
    }
}
