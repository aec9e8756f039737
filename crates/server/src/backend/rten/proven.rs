//! The forms of operators in which rten was shown to compute what ONNX says, and what is wrong with other forms.
//!
//! `forms.txt` is written by the test of this module from cases that `tests/forms/cases.py` makes; `versions.txt` says in
//! which operator sets the definition of an operator changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use slipway_model::onnx::attribute::attribute;
use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use slipway_model::onnx::{DataType, graphs, is_default_domain, subgraphs};

use super::bounds::Bound;
use super::form::{Form, operator};
use super::limits;
use super::values::Values;

const FORMS: &str = include_str!("forms.txt");
const VERSIONS: &str = include_str!("versions.txt");

/// What is not proven about the nodes of a model, as `operator with what`.
pub(super) fn unproven(graph: &GraphProto, opset: i64, values: &Values<'_>) -> Vec<String> {
    let Walk { forms, mut refusals, .. } = walk(graph, opset, values);
    let possible = forms.iter().flat_map(Form::possible);
    refusals.extend(possible.filter_map(|form| Table::get().objection(&form)));
    refusals.extend(wide_constants(graph));
    refusals
}

/// The form of every node of a model, in its main graph and all graphs inside it, but for those beyond the engine.
#[cfg(test)]
pub(super) fn forms(graph: &GraphProto, opset: i64, values: &Values<'_>) -> Vec<Form> {
    walk(graph, opset, values).forms
}

fn walk<'a>(graph: &'a GraphProto, opset: i64, values: &Values<'_>) -> Walk<'a> {
    let mut walk = Walk { opset, used: used(graph), forms: Vec::new(), refusals: Vec::new() };
    walk.graph(graph, values);
    walk
}

/// The version of ONNX's own operators that a model asks for.
pub(super) fn opset(model: &ModelProto) -> i64 {
    let own = model.opset_import.iter().filter(|id| is_default_domain(id.domain()));
    own.map(|id| id.version()).max().unwrap_or(1)
}

struct Walk<'a> {
    opset: i64,
    used: BTreeSet<&'a str>,
    forms: Vec<Form>,
    refusals: Vec<String>,
}

impl<'a> Walk<'a> {
    fn graph(&mut self, graph: &'a GraphProto, values: &Values<'_>) {
        for node in &graph.node {
            // Constants are values, not operators.
            if node.op_type() != "Constant" || !is_default_domain(node.domain()) {
                self.node(node, values);
            }
            for inner in subgraphs(node) {
                self.graph(inner, &Values::within(inner, values));
            }
        }
    }
}

impl Walk<'_> {
    fn node(&mut self, node: &NodeProto, values: &Values<'_>) {
        if let Some(words) = limits::beyond(node, values) {
            self.refusals.push(format!("{} {words}", operator(node)));
            return;
        }
        let since = Table::get().since(node, self.opset);
        self.forms.push(Form::of(node, since, values, |output| self.used.contains(output)));
    }
}

/// Constants of 64-bit integers that 32 bits do not hold, but for the bounds of a `Slice`, which rten cuts to sizes.
fn wide_constants(root: &GraphProto) -> Vec<String> {
    let mut users: HashMap<&str, bool> = HashMap::new();
    for graph in graphs(root) {
        for node in &graph.node {
            for (place, name) in node.input.iter().enumerate() {
                let is_bound =
                    node.op_type() == "Slice" && is_default_domain(node.domain()) && matches!(place, 1 | 2);
                *users.entry(name).or_default() |= !is_bound;
            }
        }
        users.extend(graph.output.iter().map(|output| (output.name(), true)));
    }
    let is_wide = |tensor: &TensorProto| {
        tensor.data_type() == DataType::INT64.code() && !Bound::of(tensor).is_some_and(Bound::fits_32_bits)
    };
    let mut wide = Vec::new();
    for graph in graphs(root) {
        let initializers = graph.initializer.iter().map(|tensor| (tensor.name(), tensor));
        let values = graph
            .node
            .iter()
            .filter_map(|node| Some((node.output.first()?.as_str(), attribute(node, "value")?.t.as_ref()?)));
        let told = initializers
            .chain(values)
            .filter(|(name, tensor)| users.get(name) == Some(&true) && is_wide(tensor));
        wide.extend(told.map(|(name, _)| format!("the constant {name:?}, which may need more than 32 bits")));
    }
    wide
}

/// Every name that somebody takes: a node of any graph, or who asks for a graph's outputs.
fn used(root: &GraphProto) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for graph in graphs(root) {
        names.extend(graph.node.iter().flat_map(|node| &node.input).map(String::as_str));
        names.extend(graph.output.iter().map(slipway_model::onnx::proto::ValueInfoProto::name));
    }
    names
}

/// What is proven.
pub(super) struct Table {
    /// For each operator and version the aspects of each proven form.
    forms: HashMap<(&'static str, i64), Vec<Vec<&'static str>>>,
    /// The operator sets that changed an operator, ascending.
    versions: HashMap<&'static str, Vec<i64>>,
    /// The newest operator set that `versions` knows.
    newest: i64,
}

impl Table {
    pub(super) fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(Self::read)
    }

    fn read() -> Self {
        let mut table = Self { forms: HashMap::new(), versions: HashMap::new(), newest: 0 };
        for line in FORMS.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (Some(operator), Some(since)) =
                (words.next(), words.next().and_then(|since| since.parse().ok()))
            else {
                continue;
            };
            table.forms.entry((operator, since)).or_default().push(words.collect());
        }
        for line in VERSIONS.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let Some(operator) = words.next() else { continue };
            let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
            match operator {
                "newest" => table.newest = numbers.first().copied().unwrap_or_default(),
                _ => drop(table.versions.insert(operator, numbers)),
            }
        }
        table
    }

    /// The operator set in which the definition of an operator came that a model asks for; 0 where that is not known.
    fn since(&self, node: &NodeProto, opset: i64) -> i64 {
        if !is_default_domain(node.domain()) {
            return 1;
        }
        if opset > self.newest {
            return 0;
        }
        let versions = self.versions.get(node.op_type()).map(Vec::as_slice).unwrap_or_default();
        versions.iter().rev().find(|since| **since <= opset).copied().unwrap_or_default()
    }

    /// What is not proven about a form, in words; nothing where all of it is.
    fn objection(&self, form: &Form) -> Option<String> {
        let Form { operator, since, aspects } = form;
        // It computes nothing but one of its graphs, whose nodes are looked at on their own.
        if operator == "ai.onnx.If" {
            return None;
        }
        let Some(proven) = self.forms.get(&(operator.as_str(), *since)) else {
            let other = self.forms.keys().any(|(known, _)| known == operator);
            return Some(if other {
                format!("{operator} of operator set {since}")
            } else {
                operator.clone()
            });
        };
        let missing = |known: &Vec<&str>| {
            let is_known = |aspect: &&String| known.iter().any(|known| covers(known, aspect));
            let strange = aspects.iter().filter(|aspect| !is_known(aspect)).cloned();
            let lacking = known.iter().filter(|known| !aspects.iter().any(|aspect| covers(known, aspect)));
            strange.chain(lacking.map(|aspect| format!("no {aspect}"))).collect::<Vec<_>>()
        };
        let nearest = proven.iter().map(missing).min_by_key(Vec::len).unwrap_or_default();
        (!nearest.is_empty()).then(|| format!("{operator} with {}", nearest.join(" and ")))
    }
}

/// Whether an aspect of a proven form holds for one that is asked for: what is right for any integer is right for a count.
fn covers(known: &str, asked: &str) -> bool {
    let fits = |(known, asked)| known == asked || (known, asked) == ("i64", "count");
    known == asked
        || (known.matches(',').count() == asked.matches(',').count()
            && known.split(',').zip(asked.split(',')).all(fits))
}
