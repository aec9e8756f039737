//! Which nodes can be quantized, and why the others cannot.

use std::collections::{BTreeSet, HashMap};

use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto};
use slipway_model::onnx::{DataType, OnnxModel, graphs, is_default_domain};

use super::gemm::Gemm;
use super::operand::{Index, Operand, Source};
use super::{DynamicOptions, Skipped};

/// A node that becomes integer arithmetic.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) activation: String,
    pub(super) bias: Option<String>,
    /// Index into [`Selection::weights`].
    pub(super) weight: usize,
    pub(super) gemm: Gemm,
}

/// A constant tensor in the orientation that its users need.
#[derive(Debug)]
pub(super) struct Weight {
    pub(super) source: Source,
    pub(super) tensor: TensorProto,
    /// The name of the value it is known by.
    pub(super) name: String,
    /// Whether the stored tensor must be transposed.
    pub(super) transposed: bool,
}

impl Weight {
    /// The dimensions as the multiplication sees them.
    pub(super) fn dims(&self) -> Vec<i64> {
        let mut dims = self.tensor.dims.clone();
        if self.transposed {
            dims.reverse();
        }
        dims
    }
}

/// What to do with each node of the main graph.
#[derive(Debug)]
pub(super) struct Selection {
    /// By index of the node.
    pub(super) candidates: HashMap<usize, Candidate>,
    pub(super) weights: Vec<Weight>,
    /// Nodes between weights and their users: dropped when nothing else uses them.
    pub(super) path: BTreeSet<usize>,
    pub(super) skipped: Vec<Skipped>,
}

pub(super) fn select(model: &OnnxModel, options: &DynamicOptions) -> Selection {
    let graph = model.graph();
    let index = Index::of(graph);
    let mut selector = Selector { index, options, known: HashMap::new(), found: Selection::empty() };
    for (place, node) in graph.node.iter().enumerate() {
        match selector.consider(node) {
            Some(Ok(candidate)) => drop(selector.found.candidates.insert(place, candidate)),
            Some(Err(reason)) => selector.found.skipped.push(skipped(node, reason)),
            None => {}
        }
    }
    selector.found.skipped.extend(nested(graph));
    selector.found
}

impl Selection {
    fn empty() -> Self {
        Self { candidates: HashMap::new(), weights: Vec::new(), path: BTreeSet::new(), skipped: Vec::new() }
    }
}

struct Selector<'a> {
    index: Index<'a>,
    options: &'a DynamicOptions,
    known: HashMap<(Source, bool), usize>,
    found: Selection,
}

impl Selector<'_> {
    /// `None` for operators without weights.
    fn consider(&mut self, node: &NodeProto) -> Option<Result<Candidate, String>> {
        if !is_default_domain(node.domain()) {
            return None;
        }
        match node.op_type() {
            "MatMul" | "Gemm" => Some(self.candidate(node)),
            op => untouched(op).map(|reason| Err(reason.to_owned())),
        }
    }

    fn candidate(&mut self, node: &NodeProto) -> Result<Candidate, String> {
        let gemm = Gemm::of(node);
        let [activation, weight, rest @ ..] = node.input.as_slice() else {
            return Err("it has fewer than two operands".to_owned());
        };
        if node.output.len() != 1 {
            return Err("it has not exactly one output".to_owned());
        }
        if self.index.resolve(activation).is_ok() {
            return Err("the left operand is a constant".to_owned());
        }
        let mut operand = self.index.resolve(weight)?;
        operand.transposed ^= gemm.trans_b;
        let weight = self.weight(&operand, weight)?;
        self.found.path.extend(operand.path);
        let bias = rest.first().filter(|name| !name.is_empty()).cloned();
        Ok(Candidate { activation: activation.clone(), bias, weight, gemm })
    }

    fn weight(&mut self, operand: &Operand, name: &str) -> Result<usize, String> {
        let key = (operand.source, operand.transposed);
        if let Some(index) = self.known.get(&key) {
            return Ok(*index);
        }
        let tensor = self.index.tensor(operand.source).ok_or("the weight is no tensor")?;
        let own = Some(tensor.name()).filter(|_| matches!(operand.source, Source::Initializer(_)));
        let weight = Weight {
            source: operand.source,
            tensor: tensor.clone(),
            name: own.unwrap_or(name).to_owned(),
            transposed: operand.transposed,
        };
        suitable(&weight, self.options)?;
        let index = self.found.weights.len();
        self.found.weights.push(weight);
        self.known.insert(key, index);
        Ok(index)
    }
}

/// Whether a constant can be the right operand of a `MatMulInteger`.
fn suitable(weight: &Weight, options: &DynamicOptions) -> Result<(), String> {
    let tensor = &weight.tensor;
    if tensor.data_type() != DataType::FLOAT.code() {
        let name = DataType::from_code(tensor.data_type()).map_or_else(String::new, DataType::name);
        return Err(format!("the weight is of type {name}, not float"));
    }
    let dims = weight.dims();
    let [.., depth, _] = dims.as_slice() else {
        return Err(format!("the weight has {} dimensions", dims.len()));
    };
    if weight.transposed && dims.len() != 2 {
        return Err(format!("a transposed weight of {} dimensions", dims.len()));
    }
    let elements: i64 = dims.iter().product();
    if elements.unsigned_abs() < options.least_elements {
        return Err(format!("the weight has {elements} elements, too few to gain anything"));
    }
    let largest = i64::from(options.weights.scheme().highest) * 255;
    if depth.saturating_mul(largest) > i64::from(i32::MAX) {
        return Err(format!("sums over {depth} products may overflow 32 bits"));
    }
    Ok(())
}

/// Why an operator that has weights, or had, is left alone.
fn untouched(op: &str) -> Option<&'static str> {
    match op {
        "Conv" | "ConvTranspose" | "LSTM" | "GRU" | "RNN" | "Einsum" => {
            Some("dynamic quantization covers MatMul and Gemm")
        }
        "MatMulInteger" | "ConvInteger" | "QLinearMatMul" | "QLinearConv" => Some("it is quantized already"),
        _ => None,
    }
}

fn nested(root: &GraphProto) -> impl Iterator<Item = Skipped> {
    let nodes = graphs(root).into_iter().skip(1).flat_map(|graph| &graph.node);
    nodes
        .filter(|node| matches!(node.op_type(), "MatMul" | "Gemm"))
        .map(|node| skipped(node, "it is inside a subgraph".to_owned()))
}

fn skipped(node: &NodeProto, reason: String) -> Skipped {
    let output = node.output.first().map_or("", String::as_str);
    let name = if node.name().is_empty() { output } else { node.name() };
    Skipped { node: name.to_owned(), op: node.op_type().to_owned(), reason }
}
