//! The forms of operators in which rten was shown to compute what ONNX says, and what is wrong with other forms.
//!
//! `forms.txt` is written by the test of this module from cases that `tests/forms/cases.py` makes; `versions.txt` says in
//! which operator sets the definition of an operator changed.

use std::collections::HashMap;
use std::sync::OnceLock;

use slipway_model::onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use slipway_model::onnx::{DataType, graphs, is_default_domain, subgraphs};

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
    refusals
}

/// The form of every node of a model, in its main graph and all graphs inside it, but for those beyond the engine.
#[cfg(test)]
pub(super) fn forms(graph: &GraphProto, opset: i64, values: &Values<'_>) -> Vec<Form> {
    walk(graph, opset, values).forms
}

fn walk<'a>(graph: &'a GraphProto, opset: i64, values: &Values<'_>) -> Walk<'a> {
    let mut walk = Walk { opset, uses: uses(graph), forms: Vec::new(), refusals: Vec::new() };
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
    uses: HashMap<&'a str, bool>,
    forms: Vec<Form>,
    refusals: Vec<String>,
}

impl<'a> Walk<'a> {
    fn graph(&mut self, graph: &'a GraphProto, values: &Values<'_>) {
        let is_wide = |name: &&str| {
            self.uses.get(name) == Some(&true)
                && values.data_type(name) == Some(DataType::INT64)
                && !values.is_count(name)
        };
        let told = constants(graph).filter(is_wide);
        let words = |name| format!("the constant {name:?}, which may need more than 32 bits");
        self.refusals.extend(told.map(words).collect::<Vec<_>>());
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
        self.forms.push(Form::of(node, since, values, |output| self.uses.contains_key(output)));
    }
}

/// The constants of a graph, by the names of their values.
fn constants(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let is_constant = |node: &&NodeProto| matches!(node.op_type(), "Constant" | "ConstantOfShape");
    let nodes = graph.node.iter().filter(is_constant).filter_map(|node| node.output.first());
    graph.initializer.iter().map(TensorProto::name).chain(nodes.map(String::as_str))
}

/// Every name that somebody takes, a node of any graph or who asks for a graph's outputs; and whether anyone takes it for more
/// than a bound of a `Slice`, which rten cuts to sizes.
fn uses(root: &GraphProto) -> HashMap<&str, bool> {
    let mut uses = HashMap::new();
    for graph in graphs(root) {
        for node in &graph.node {
            let slices = node.op_type() == "Slice" && is_default_domain(node.domain());
            for (place, name) in node.input.iter().enumerate() {
                *uses.entry(name.as_str()).or_default() |= !(slices && matches!(place, 1 | 2));
            }
        }
        uses.extend(graph.output.iter().map(|output| (output.name(), true)));
    }
    uses
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
