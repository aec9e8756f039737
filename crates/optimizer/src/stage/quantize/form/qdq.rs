//! An operator between `DequantizeLinear` and `QuantizeLinear`: it stays as it is, and engines compute it in integers.
//!
//! ```text
//! Dequantize(x), Dequantize(w), Dequantize(bias) → the operator → [Relu, Clip] → Quantize → Dequantize
//! ```
//!
//! A bias is `int32` at the scale of the sum, the product of both scales.

use slipway_model::onnx::DataType;
use slipway_model::onnx::proto::{NodeProto, TensorProto};

use super::super::Form;
use super::super::emit::Emitter;
use super::super::select::{Axes, Selector};
use super::matmul::Gemm;
use super::{Site, because, refuse_overflow};
use crate::graph::{GraphId, Operand, Unresolved};

const MAIN: GraphId = 0;

/// An operator that takes or gives integers.
#[derive(Debug)]
pub(in super::super) struct Qdq {
    /// The places of its activations.
    places: Vec<usize>,
    weight: Option<Weight>,
    bias: Bias,
}

/// The weight of a multiplication.
#[derive(Debug)]
struct Weight {
    index: usize,
    transposed: bool,
    /// The axis of the output's channels, as the operator sees the weight.
    axis: usize,
}

#[derive(Debug)]
enum Bias {
    /// There is none, or it stays an input as it is.
    None,
    /// It becomes integers.
    Integers(Box<IntegerBias>),
    /// It is added afterwards.
    Added,
}

/// A constant bias on its way to integers.
#[derive(Debug, Clone)]
pub(in super::super) struct IntegerBias {
    pub(in super::super) tensor: TensorProto,
    /// What every value is multiplied with: the `beta` of a `Gemm`.
    pub(in super::super) factor: f32,
    /// The scale of the operator's activation.
    pub(in super::super) input_scale: f32,
}

/// The places at which an operator that multiplies takes activations, or why it has to compute in floats.
pub(in super::super) fn places(selector: &Selector<'_>, node: &NodeProto) -> Result<Vec<usize>, Unresolved> {
    if selector.is_kept(node) {
        return Err(because("a rule keeps it"));
    }
    if !is_computed(selector, node, 0) {
        return Err(because("a constant on the left has no form in integers"));
    }
    if node.op_type() != "Conv" && is_computed(selector, node, 1) {
        return Ok(vec![0, 1]);
    }
    let (operand, _) = weight(selector, node)?;
    if operand.data_type != DataType::FLOAT.code() {
        return Err(because("it computes in floats of 16 or 64 bits"));
    }
    if node.op_type() == "Conv" && !input(node, 2).is_empty() && constant_bias(selector, node).is_none() {
        return Err(because("its bias is computed, or no list of floats"));
    }
    Ok(vec![0])
}

fn is_computed(selector: &Selector<'_>, node: &NodeProto, place: usize) -> bool {
    let name = input(node, place);
    !name.is_empty() && matches!(selector.scopes.resolve(MAIN, name), Err(Unresolved::Computed))
}

fn input(node: &NodeProto, place: usize) -> &str {
    node.input.get(place).map_or("", String::as_str)
}

/// The constant that a node multiplies with, and the axis of the output's channels as the node sees it.
fn weight(selector: &Selector<'_>, node: &NodeProto) -> Result<(Operand, usize), Unresolved> {
    let operand = selector.operand(MAIN, node, 1)?;
    let rank = operand.dims.len();
    let (axis, depth) = match node.op_type() {
        "Conv" if operand.transposed || rank < 3 => {
            return Err(because(format!("the kernel has {rank} dimensions")));
        }
        "Conv" => (0, operand.dims[1..].iter().product()),
        _ if rank != 2 => {
            return Err(because(format!("a weight of {rank} dimensions has no form in integers")));
        }
        _ => {
            let axis = usize::from(!Gemm::of(node).trans_b);
            (axis, operand.dims[if operand.transposed { axis } else { 1 - axis }])
        }
    };
    // Half of the sum's range is left for the bias.
    refuse_overflow(selector, depth.saturating_mul(2))?;
    Ok((operand, axis))
}

/// A constant bias of one float a channel.
fn constant_bias(selector: &Selector<'_>, node: &NodeProto) -> Option<Operand> {
    let operand = selector.scopes.resolve(MAIN, input(node, 2)).ok()?;
    let floats = crate::graph::is_float(selector.scopes.tensor(operand.source).data_type());
    (floats && operand.data_type == DataType::FLOAT.code() && operand.dims.len() == 1).then_some(operand)
}

/// The site of a node of the plan.
pub(in super::super) fn site(
    selector: &mut Selector<'_>,
    node: &NodeProto,
    places: &[usize],
) -> Result<Site, Unresolved> {
    let multiplies = matches!(node.op_type(), "Conv" | "MatMul" | "Gemm");
    if !multiplies || places.contains(&1) {
        let bias = if node.op_type() == "Gemm" { Bias::Added } else { Bias::None };
        return Ok(Site::Qdq(Qdq { places: places.to_vec(), weight: None, bias }));
    }
    let (operand, axis) = weight(selector, node)?;
    let channels = if operand.transposed { 1 - axis } else { axis };
    let index = selector.want(&operand, Axes { channels, batch: 0 }, Form::Qdq, operand.transposed);
    let width = operand.dims[channels];
    let weight = Weight { index, transposed: operand.transposed, axis };
    let bias = bias(selector, node, width);
    Ok(Site::Qdq(Qdq { places: places.to_vec(), weight: Some(weight), bias }))
}

fn bias(selector: &mut Selector<'_>, node: &NodeProto, width: i64) -> Bias {
    let gemm = Gemm::of(node);
    if input(node, 2).is_empty() {
        return Bias::None;
    }
    let operand = constant_bias(selector, node).filter(|operand| operand.dims == [width]);
    let is_plain = gemm.alpha.to_bits() == 1.0_f32.to_bits();
    let Some(operand) = operand.filter(|_| is_plain) else { return Bias::Added };
    let Some(input_scale) = selector.input_scale(input(node, 0)) else { return Bias::Added };
    let tensor = selector.scopes.tensor(operand.source).clone();
    selector.replace(&operand);
    Bias::Integers(Box::new(IntegerBias { tensor, factor: gemm.beta(), input_scale }))
}

impl Qdq {
    pub(super) fn weight(&self) -> Option<usize> {
        self.weight.as_ref().map(|weight| weight.index)
    }

    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        let mut made = node.clone();
        for place in &self.places {
            made.input[*place] = emitter.dequantized(&node.input[*place]);
        }
        if let Some(Weight { index, transposed, axis }) = self.weight {
            made.input[1] = emitter.dequantized_weight(index, transposed, axis);
        }
        match (&self.bias, &self.weight) {
            (Bias::Integers(bias), Some(weight)) if emitter.users(weight.index) == 1 => {
                made.input[2] = emitter.dequantized_bias(weight.index, bias);
                made.attribute.retain(|attribute| attribute.name() != "beta");
            }
            // A bias may raise the scales of its weight, which other users of the weight must not feel.
            (Bias::Integers(_) | Bias::Added, _) if node.op_type() == "Gemm" => {
                return Self::emit_added(Gemm::of(node), node, made, emitter);
            }
            (Bias::None | Bias::Integers(_) | Bias::Added, _) => {}
        }
        emitter.keep_quantized(made);
    }

    /// The product alone, and then the bias as it is.
    fn emit_added(gemm: Gemm, node: &NodeProto, mut made: NodeProto, emitter: &mut Emitter<'_>) {
        let output = node.output.first().map_or("", String::as_str);
        let has_bias = node.input.get(2).is_some_and(|bias| !bias.is_empty());
        if !has_bias {
            return emitter.keep_quantized(made);
        }
        made.input.truncate(2);
        made.attribute.retain(|attribute| attribute.name() != "beta");
        let product = emitter.renamed(made, output);
        let biased = gemm.bias(node, &product, DataType::FLOAT.code(), emitter);
        emitter.finish_quantized(&biased, output);
    }
}
