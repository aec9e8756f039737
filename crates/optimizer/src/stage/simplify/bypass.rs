//! Nodes that give what they take.

use std::collections::{HashMap, HashSet};

use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::tensor_proto::DataType as Code;
use slipway_model::onnx::proto::{GraphProto, NodeProto};

use super::fold::Knowledge;
use super::infer::Info;
use super::rename::Renames;
use crate::graph::{attribute, flag, int_or, ints_of, rewrite};

/// Removes nodes that change nothing; how many there were.
///
/// Their users take what they took. A node that names an output of a graph goes where the value
/// can take over its name.
pub(super) fn bypass(root: &mut GraphProto, opset: i64, known: &Knowledge, given: &HashSet<String>) -> usize {
    let mut pass = Bypass { opset, known, given, renames: Renames::default(), gone: HashSet::new() };
    pass.graph(root);
    let Bypass { renames, gone, .. } = pass;
    rewrite(root, &mut |_, graph| {
        graph.node.retain(|node| !node.output.first().is_some_and(|name| gone.contains(name)));
    });
    renames.apply(root);
    gone.len()
}

struct Bypass<'a> {
    opset: i64,
    known: &'a Knowledge,
    given: &'a HashSet<String>,
    renames: Renames,
    /// The outputs of nodes that go.
    gone: HashSet<String>,
}

impl Bypass<'_> {
    fn graph(&mut self, graph: &GraphProto) {
        let own = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
        let mut own: HashSet<&str> = own.collect();
        for node in &graph.node {
            if let Some((from, to)) = self.passed(node) {
                let from_now = self.renames.of(&from).to_owned();
                if !self.given.contains(to) {
                    self.renames.insert(to, &from_now);
                    self.gone.insert(to.to_owned());
                } else if own.contains(from_now.as_str()) && !self.given.contains(&from_now) {
                    own.remove(from_now.as_str());
                    self.renames.insert(&from_now, to);
                    self.gone.insert(to.to_owned());
                }
            }
            slipway_model::onnx::subgraphs(node).for_each(|inner| self.graph(inner));
        }
    }

    /// The value that a node hands on, and the name that it gives it.
    fn passed<'n>(&self, node: &'n NodeProto) -> Option<(String, &'n str)> {
        let (to, more) = node.output.split_first()?;
        let alone = more.iter().all(String::is_empty) && !to.is_empty() && is_default_domain(node.domain());
        let from = node.input.first().filter(|from| alone && !from.is_empty())?;
        let changes_nothing = Question { pass: self, node, input: self.info(from) }.changes_nothing();
        changes_nothing.then(|| (from.clone(), to.as_str()))
    }

    fn info(&self, name: &str) -> Info {
        self.known.infos.get(name).cloned().unwrap_or_default()
    }
}

/// Whether a node changes anything.
struct Question<'a> {
    pass: &'a Bypass<'a>,
    node: &'a NodeProto,
    input: Info,
}

impl Question<'_> {
    fn changes_nothing(&self) -> bool {
        match self.node.op_type() {
            "Identity" => true,
            "Dropout" => self.is_inference(),
            "Cast" => {
                self.input.code.is_some_and(|code| i64::from(code as i32) == int_or(self.node, "to", 0))
            }
            "Transpose" => {
                ints_of(self.node, "perm").is_some_and(|perm| perm.iter().copied().eq((0..).take(perm.len())))
            }
            "Concat" | "Sum" | "Max" | "Min" | "Mean" => self.node.input.len() == 1,
            "Pad" => self.integers(1, "pads").is_some_and(|pads| pads.iter().all(|pad| *pad == 0)),
            "Tile" => self.integers(1, "").is_some_and(|times| times.iter().all(|times| *times == 1)),
            "Reshape" => self.keeps_shape(),
            "Expand" => self.expands_to_itself(),
            "Slice" => self.takes_all(),
            "Mul" | "Div" if self.pass.opset >= 7 => self.is_by_one(),
            _ => false,
        }
    }

    /// The integers of an input, or of an attribute in older operator sets.
    fn integers(&self, index: usize, name: &str) -> Option<Vec<i64>> {
        match self.node.input.get(index).filter(|name| !name.is_empty()) {
            Some(name) => self.pass.info(name).whole(),
            None => ints_of(self.node, name).map(<[i64]>::to_vec),
        }
    }

    fn is_inference(&self) -> bool {
        match (self.pass.opset, self.node.input.get(2).filter(|name| !name.is_empty())) {
            (..7, _) => flag(self.node, "is_test"),
            (7..12, _) | (_, None) => true,
            (_, Some(mode)) => {
                let mode = self.pass.known.constants.get(mode);
                mode.is_some_and(|mode| mode.is_filled_with(Code::Bool, &[0]))
            }
        }
    }

    fn keeps_shape(&self) -> bool {
        let (Some(dims), Some(target)) = (&self.input.dims, self.integers(1, "")) else { return false };
        let literal = flag(self.node, "allowzero");
        let open = |(dim, size): &(&Option<usize>, &i64)| match (dim, size) {
            (_, 0) if !literal => false,
            (Some(dim), size) => i64::try_from(*dim) != Ok(**size),
            (None, _) => true,
        };
        let mut differ = dims.iter().zip(&target).filter(open);
        // One size that is left open has to be the one that is missing, unless there are none.
        let only = differ.next().is_none_or(|(_, size)| *size == -1) && differ.next().is_none();
        dims.len() == target.len() && only && !dims.contains(&Some(0))
    }

    fn expands_to_itself(&self) -> bool {
        let (Some(dims), Some(target)) = (&self.input.dims, self.integers(1, "")) else { return false };
        let Some(missing) = dims.len().checked_sub(target.len()) else { return false };
        let same = |(dim, size): (&Option<usize>, &i64)| {
            *size == 1 || dim.is_some_and(|dim| i64::try_from(dim) == Ok(*size))
        };
        dims[missing..].iter().zip(&target).all(same)
    }

    fn takes_all(&self) -> bool {
        let (Some(starts), Some(ends)) = (self.integers(1, "starts"), self.integers(2, "ends")) else {
            return false;
        };
        let given = self.node.input.get(4).is_some_and(|name| !name.is_empty());
        let steps = if given { self.integers(4, "steps") } else { Some(vec![1; starts.len()]) };
        starts.iter().all(|start| *start == 0)
            && ends.iter().all(|end| *end >= i64::from(i32::MAX))
            && steps.is_some_and(|steps| steps.iter().all(|step| *step == 1))
    }

    /// One times a float is that float; the 1 must not add dimensions.
    fn is_by_one(&self) -> bool {
        let Some(one) = self.node.input.get(1).and_then(|name| self.pass.known.constants.get(name)) else {
            return false;
        };
        let fits = one.dims.iter().all(|dim| *dim == 1)
            && (one.dims.is_empty() || self.input.rank().is_some_and(|rank| one.dims.len() <= rank));
        let is_one = one.is_filled_with(Code::Float, &1.0_f32.to_le_bytes())
            || one.is_filled_with(Code::Int64, &1_i64.to_le_bytes());
        fits && is_one && attribute(self.node, "broadcast").is_none()
    }
}

/// Whether a condition is known, by the names of boolean constants of one element.
pub(super) fn conditions(known: &Knowledge) -> HashMap<String, bool> {
    let truth = |constant: &super::tensor::Constant| {
        let is = |byte| constant.len() == 1 && constant.is_filled_with(Code::Bool, &[byte]);
        if is(0) {
            Some(false)
        } else if is(1) {
            Some(true)
        } else {
            None
        }
    };
    known.constants.iter().filter_map(|(name, value)| Some((name.clone(), truth(value)?))).collect()
}
