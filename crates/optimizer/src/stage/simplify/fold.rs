//! Which nodes can be computed ahead, and what they give.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use slipway_model::onnx::proto::tensor_proto::DataType as Code;
use slipway_model::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};
use slipway_model::onnx::{OnnxModel, subgraphs};

use super::SimplifyError;
use super::evaluate::{Refusal, evaluate};
use super::infer::{Info, infer};
use super::tensor::{Constant, Tensor};
use crate::file::FileError;
use crate::stage::Skipped;

/// Bytes up to which a tensor costs nothing worth counting.
pub(super) const SMALL: u64 = 1024;

/// Bytes of integers that are looked at.
const INTEGERS: u64 = 512;

/// What is known of the values of a model.
#[derive(Default)]
pub(super) struct Knowledge {
    pub(super) constants: HashMap<String, Constant>,
    pub(super) infos: HashMap<String, Info>,
    /// Nodes that need not be there, by the names of their outputs.
    pub(super) folded: HashSet<String>,
    /// The large initializers that a folded value is made of.
    pub(super) origins: HashMap<String, Rc<BTreeSet<String>>>,
    /// Nodes with constant inputs that stay, in the order of the graph.
    pub(super) skipped: Vec<Skipped>,
}

impl Knowledge {
    /// The number of a value's dimensions.
    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.infos.get(name).and_then(Info::rank)
    }
}

/// Looks at every node of a model, in order.
pub(super) struct Folder<'a> {
    model: &'a OnnxModel,
    opset: i64,
    /// Names that graphs give: what computes them stays.
    given: &'a HashSet<String>,
    /// Outputs of nodes that stay because their results would be larger than what goes away.
    banned: &'a HashSet<String>,
    known: Knowledge,
    /// Bytes that results may still take in memory.
    budget: u64,
    /// Bytes that may still be read for results: a result may be small, and what it is made of large.
    effort: &'a mut u64,
}

impl<'a> Folder<'a> {
    pub(super) fn new(
        model: &'a OnnxModel,
        opset: i64,
        given: &'a HashSet<String>,
        banned: &'a HashSet<String>,
        budget: u64,
        effort: &'a mut u64,
    ) -> Self {
        Self { model, opset, given, banned, known: Knowledge::default(), budget, effort }
    }

    /// Learns everything that can be known of the main graph and those inside it.
    pub(super) fn learn(mut self, root: &GraphProto) -> Result<Knowledge, SimplifyError> {
        let inputs: HashSet<&str> = root.input.iter().map(ValueInfoProto::name).collect();
        for input in &root.input {
            self.known.infos.insert(input.name().to_owned(), Info::declared(input));
        }
        for tensor in root.initializer.iter().filter(|tensor| !inputs.contains(tensor.name())) {
            if let Some(constant) = Constant::of(self.model, tensor)? {
                let name = tensor.name().to_owned();
                if constant.len() > SMALL {
                    self.known.origins.insert(name.clone(), Rc::new(BTreeSet::from([name.clone()])));
                }
                self.constant(name, constant)?;
            }
        }
        self.graph(root)?;
        Ok(self.known)
    }

    fn graph(&mut self, graph: &GraphProto) -> Result<(), SimplifyError> {
        for node in &graph.node {
            self.node(node)?;
            subgraphs(node).try_for_each(|inner| self.graph(inner))?;
        }
        Ok(())
    }

    fn node(&mut self, node: &NodeProto) -> Result<(), SimplifyError> {
        match self.outputs(node) {
            Ok(Some(constants)) => self.fold(node, constants)?,
            Ok(None) => self.infer(node)?,
            Err(Refusal::File(error)) => return Err(error.into()),
            Err(refusal) => {
                self.skip(node, &refusal);
                self.infer(node)?;
            }
        }
        Ok(())
    }

    /// What a node gives, if all it takes is constant.
    fn outputs(&mut self, node: &NodeProto) -> Result<Option<Vec<Constant>>, Refusal> {
        let input = |name: &String| match name.as_str() {
            "" => Some(None),
            name => self.known.constants.get(name).map(Some),
        };
        let inputs: Option<Vec<_>> = node.input.iter().map(input).collect();
        let Some(inputs) = inputs.filter(|inputs| inputs.iter().any(Option::is_some)) else {
            return Ok(None);
        };
        if node.output.iter().any(|name| self.banned.contains(name)) {
            return Err(Refusal::Undefined("its result would be larger than what it is made of"));
        }
        if !self.may_fold(node) || subgraphs(node).next().is_some() {
            return Ok(None);
        }
        let outputs = evaluate(self.model, node, self.opset, &inputs, self.effort)?;
        if outputs.len() != node.output.len() {
            return Err(Refusal::Unknown);
        }
        let is_new = |output: &&Constant| !inputs.iter().flatten().any(|input| input.shares(output));
        let memory: u64 = outputs.iter().filter(is_new).map(Constant::memory).sum();
        self.budget = self.budget.checked_sub(memory).ok_or(Refusal::TooLarge(memory))?;
        Ok(Some(outputs))
    }

    /// Whether nothing but its inputs speaks against computing a node ahead.
    fn may_fold(&self, node: &NodeProto) -> bool {
        let stays = |name: &String| self.given.contains(name) || self.banned.contains(name);
        !node.output.iter().any(stays)
    }

    fn fold(&mut self, node: &NodeProto, constants: Vec<Constant>) -> Result<(), FileError> {
        let origin = self.origin(node);
        for (name, constant) in node.output.iter().zip(constants).filter(|(name, _)| !name.is_empty()) {
            if let Some(origin) = &origin {
                self.known.origins.insert(name.clone(), Rc::clone(origin));
            }
            self.known.folded.insert(name.clone());
            self.constant(name.clone(), constant)?;
        }
        Ok(())
    }

    /// The large initializers that a node's inputs are made of.
    fn origin(&self, node: &NodeProto) -> Option<Rc<BTreeSet<String>>> {
        let mut origins = node.input.iter().filter_map(|name| self.known.origins.get(name));
        let first = Rc::clone(origins.next()?);
        let merged = origins.fold(first, |merged, next| {
            if next.is_subset(&merged) { merged } else { Rc::new(merged.union(next).cloned().collect()) }
        });
        Some(merged)
    }

    fn constant(&mut self, name: String, constant: Constant) -> Result<(), FileError> {
        let integers = (constant.dims.len() <= 1 && constant.len() <= INTEGERS)
            .then(|| constant.load(self.model))
            .map(|loaded| match loaded {
                Ok(tensor) => Ok(tensor.integers()),
                Err(Refusal::File(error)) => Err(error),
                Err(_) => Ok(None),
            })
            .transpose()?
            .flatten();
        self.known.infos.insert(name.clone(), Info::constant(&constant, integers));
        self.known.constants.insert(name, constant);
        Ok(())
    }

    /// Notes what is known of the outputs, which may be all there is to know.
    fn infer(&mut self, node: &NodeProto) -> Result<(), FileError> {
        let inputs = node.input.iter().map(|name| self.known.infos.get(name).cloned().unwrap_or_default());
        let infos = infer(node, self.opset, inputs.collect());
        if let [info] = infos.as_slice()
            && let Some(tensor) = whole(info).filter(|_| self.may_fold(node))
        {
            return self.fold(node, vec![tensor.into()]);
        }
        for (name, info) in node.output.iter().zip(infos) {
            self.known.infos.insert(name.clone(), info);
        }
        Ok(())
    }

    fn skip(&mut self, node: &NodeProto, refusal: &Refusal) {
        let reason = match refusal {
            Refusal::Unknown => "nobody here computes this operator for these types".to_owned(),
            Refusal::Undefined(reason) => (*reason).to_owned(),
            Refusal::TooLarge(bytes) => format!("{bytes} bytes are too many to compute ahead"),
            Refusal::Spent => "as much was read to compute others ahead as may be".to_owned(),
            Refusal::File(error) => error.to_string(),
        };
        self.known.skipped.push(Skipped::of(node, reason));
    }
}

/// The tensor of a value whose integers are all known.
fn whole(info: &Info) -> Option<Tensor> {
    let (dims, integers) = (info.fixed()?, info.whole()?);
    let count = dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim));
    if count != Some(integers.len()) {
        return None;
    }
    match info.code? {
        Code::Int64 => Some(Tensor::new(dims, integers)),
        Code::Int32 => {
            let narrow: Option<Vec<i32>> = integers.iter().map(|value| i32::try_from(*value).ok()).collect();
            narrow.map(|values| Tensor::new(dims, values))
        }
        _ => None,
    }
}
