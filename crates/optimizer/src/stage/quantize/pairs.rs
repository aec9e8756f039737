//! Writing `QuantizeLinear` and `DequantizeLinear`.

use std::collections::HashMap;

use slipway_kernels::quantize::asymmetric;
use slipway_model::onnx::DataType;
use slipway_model::onnx::proto::NodeProto;

use super::emit::Emitter;
use super::form::IntegerBias;
use super::qdq::{Plan, Tensor};
use super::report::ActivationReport;
use super::weight::BiasTensor;
use super::{Granularity, Method};
use crate::calibrate::Calibration;
use crate::graph::{float_tensor, int, int_scalar, node};

/// The pairs of a model: which activations have one, and what is written already.
#[derive(Debug)]
pub(super) struct Pairs<'a> {
    plan: &'a Plan,
    calibration: Option<&'a Calibration>,
    /// Names of scale and zero point, by the activation that they belong to.
    parameters: HashMap<String, [String; 2]>,
    /// Names of dequantized activations that are floats elsewhere.
    dequantized: HashMap<String, String>,
    /// Names of dequantized weights, by index and whether transposed.
    weights: HashMap<(usize, bool), String>,
    pub(super) reports: Vec<ActivationReport>,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(plan: &'a Plan, calibration: Option<&'a Calibration>) -> Self {
        Self {
            plan,
            calibration,
            parameters: HashMap::new(),
            dequantized: HashMap::new(),
            weights: HashMap::new(),
            reports: Vec::new(),
        }
    }

    fn tensor(&self, name: &str) -> Option<&'a Tensor> {
        self.plan.tensors.get(name)
    }
}

impl Emitter<'_> {
    /// An activation for a node that computes in integers.
    pub(super) fn dequantized(&mut self, name: &str) -> String {
        // Whoever computes integers gives them back as floats under the name that all know.
        if self.pairs.tensor(name).is_none_or(|tensor| tensor.is_whole) {
            return name.to_owned();
        }
        if let Some(known) = self.pairs.dequantized.get(name) {
            return known.clone();
        }
        let value = self.names.fresh(&format!("{name}_dequantized"));
        self.pair(name, name, &value);
        self.pairs.dequantized.insert(name.to_owned(), value.clone());
        value
    }

    /// Adds a node; what it gives as integers is quantized right behind it.
    pub(super) fn keep_quantized(&mut self, mut node: NodeProto) {
        let mut pairs = Vec::new();
        for output in &mut node.output {
            if self.pairs.tensor(output).is_some_and(|tensor| tensor.is_whole) {
                let raw = self.names.fresh(&format!("{output}_raw"));
                pairs.push((std::mem::replace(output, raw.clone()), raw));
            }
        }
        self.keep(node);
        for (name, raw) in pairs {
            self.pair(&name, &raw, &name);
        }
    }

    /// Adds a node whose only output gets another name, which is returned.
    pub(super) fn renamed(&mut self, mut node: NodeProto, output: &str) -> String {
        let name = self.names.fresh(&format!("{output}_product"));
        node.output = vec![name.clone()];
        self.keep(node);
        name
    }

    /// As [`finish`](Self::finish), for a value that may be quantized.
    pub(super) fn finish_quantized(&mut self, value: &str, output: &str) {
        let float = DataType::FLOAT.code();
        if self.pairs.tensor(output).is_none_or(|tensor| !tensor.is_whole) {
            return self.finish(value, output, float);
        }
        let raw = self.names.fresh(&format!("{output}_raw"));
        self.finish(value, &raw, float);
        self.pair(output, &raw, output);
    }

    /// Quantizes and dequantizes a value at the scale of an activation.
    fn pair(&mut self, activation: &str, value: &str, output: &str) {
        let [scale, zero_point] = self.parameters(activation);
        let integers = self.names.fresh(&format!("{activation}_quantized"));
        let name = self.names.fresh(&format!("{activation}_QuantizeLinear"));
        self.keep(node(name, "QuantizeLinear", &[value, &scale, &zero_point], &[&integers]));
        let name = self.names.fresh(&format!("{activation}_DequantizeLinear"));
        self.keep(node(name, "DequantizeLinear", &[&integers, &scale, &zero_point], &[output]));
    }

    /// The constants of an activation, shared by all that were moved from it.
    fn parameters(&mut self, activation: &str) -> [String; 2] {
        let root = self.pairs.tensor(activation).map_or(activation, |tensor| &tensor.root);
        if let Some(known) = self.pairs.parameters.get(root) {
            return known.clone();
        }
        let span = self.pairs.calibration.and_then(|calibration| calibration.span(root));
        let span = span.expect("the plan has only activations whose range is known");
        let (scale, scheme) = asymmetric(span.low, span.high);
        let zero_point = u8::try_from(scheme.zero_point).expect("a zero point of uint8");
        let names = ["scale", "zero_point"].map(|what| self.names.fresh(&format!("{root}_{what}")));
        self.constants.push(float_tensor(&names[0], &[], &[scale]));
        self.constants.push(int_scalar(&names[1], DataType::UINT8, zero_point));
        let (low, high) = (span.low, span.high);
        self.pairs.reports.push(ActivationReport { name: root.to_owned(), low, high, scale, zero_point });
        self.pairs.parameters.insert(root.to_owned(), names.clone());
        names
    }

    /// A weight as floats, in the orientation that a user needs, with its channels along an axis.
    pub(super) fn dequantized_weight(&mut self, weight: usize, transposed: bool, axis: usize) -> String {
        if let Some(known) = self.pairs.weights.get(&(weight, transposed)) {
            return known.clone();
        }
        let stored = self.stored(weight, transposed);
        let dims = [self.channels(weight)];
        let scale = self.scale_tensor(weight, self.scale_dims(&dims).to_vec().as_slice(), 1.0);
        let (zeros, attributes) = match self.method.granularity() {
            Granularity::PerTensor => (self.zero_point(0), Vec::new()),
            Granularity::PerChannel => {
                let axis = i64::try_from(axis).expect("a tensor has few axes");
                (self.zeros(&dims), vec![int("axis", axis)])
            }
        };
        let floats = self.apply_with("DequantizeLinear", &[&stored, &scale, &zeros], &stored, attributes);
        self.pairs.weights.insert((weight, transposed), floats.clone());
        floats
    }

    /// A bias at the scale of its weight's sums.
    pub(super) fn dequantized_bias(&mut self, weight: usize, bias: &IntegerBias) -> String {
        let name = bias.tensor.name();
        let wish = if name.is_empty() { self.stored[weight].name.clone() } else { name.to_owned() };
        let [integers, scale] =
            ["bias_quantized", "bias_scale"].map(|what| self.names.fresh(&format!("{wish}_{what}")));
        let attributes = match self.method {
            Method::Static { granularity: Granularity::PerChannel, .. } => vec![int("axis", 0)],
            _ => Vec::new(),
        };
        let floats = self.apply_with("DequantizeLinear", &[&integers, &scale], &wish, attributes);
        self.stored[weight].biases.push(BiasTensor { integers, scale, bias: bias.clone() });
        floats
    }

    /// How many inputs of nodes a weight is.
    pub(super) fn users(&self, weight: usize) -> usize {
        self.wanted[weight].users
    }

    fn channels(&self, weight: usize) -> i64 {
        self.wanted[weight].dims[self.wanted[weight].axes.channels]
    }
}
