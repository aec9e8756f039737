//! Writing the nodes that stand for quantized operators.

use std::collections::HashMap;

use slipway_kernels::quantize::Scheme;
use slipway_model::onnx::DataType;
use slipway_model::onnx::proto::{AttributeProto, NodeProto, TensorProto, ValueInfoProto};

use super::pairs::Pairs;
use super::select::Wanted;
use super::weight::{BiasTensor, ScaleTensor};
use super::{Granularity, Method};
use crate::graph::{Names, float_tensor, int, int_list, int_scalar, int8_zeros, ints, node, value_info};

/// A quantized activation: its integers, and what they stand for.
#[derive(Debug, Clone)]
pub(super) struct Activation {
    pub(super) quantized: String,
    pub(super) scale: String,
    pub(super) zero_point: String,
}

/// The tensors that take the place of a weight.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) scales: Vec<ScaleTensor>,
    pub(super) biases: Vec<BiasTensor>,
    pub(super) zero_points: Option<String>,
}

/// What a weight became in floats again: its index, whether transposed, its element type.
pub(super) type ExpandedKey = (usize, bool, i32);

/// The nodes of one graph, and what they may share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) value_info: Vec<ValueInfoProto>,
    activations: HashMap<String, Activation>,
    floats: HashMap<String, String>,
    transposed: HashMap<String, String>,
    expanded: HashMap<ExpandedKey, String>,
}

/// Writes nodes, one graph after the other; constants all go to the main graph.
pub(super) struct Emitter<'a> {
    pub(super) constants: Vec<TensorProto>,
    pub(super) stored: Vec<Stored>,
    pub(super) wanted: &'a [Wanted],
    pub(super) names: Names,
    pub(super) method: Method,
    pub(super) pairs: Pairs<'a>,
    zero_points: HashMap<u8, String>,
    zeros: HashMap<Vec<i64>, String>,
    graph: Scratch,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(mut names: Names, wanted: &'a [Wanted], method: Method, pairs: Pairs<'a>) -> Self {
        let name = |weight: &Wanted| names.fresh(&format!("{}_quantized", weight.name));
        let stored = wanted
            .iter()
            .map(name)
            .map(|name| Stored { name, scales: Vec::new(), biases: Vec::new(), zero_points: None })
            .collect();
        Self {
            constants: Vec::new(),
            stored,
            wanted,
            names,
            method,
            pairs,
            zero_points: HashMap::new(),
            zeros: HashMap::new(),
            graph: Scratch::default(),
        }
    }

    /// Ends a graph: its nodes, and the descriptions of values that they need.
    pub(super) fn take(&mut self) -> Scratch {
        std::mem::take(&mut self.graph)
    }

    /// The dimensions of scales, of which there is one for all or one for each channel.
    pub(super) fn scale_dims<'d>(&self, per_channel: &'d [i64]) -> &'d [i64] {
        match self.method.granularity() {
            Granularity::PerTensor => &[],
            Granularity::PerChannel => per_channel,
        }
    }

    /// Whether a stored weight is worth something only with its scales.
    pub(super) fn has_scales(&self) -> bool {
        !matches!(self.method, Method::Half { .. })
    }

    /// Adds a node as it is.
    pub(super) fn keep(&mut self, node: NodeProto) {
        self.graph.nodes.push(node);
    }

    /// Adds an operator with one output, which is named after `output`.
    pub(super) fn apply(&mut self, op: &str, inputs: &[&str], output: &str) -> String {
        self.apply_with(op, inputs, output, Vec::new())
    }

    /// The same with attributes.
    pub(super) fn apply_with(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let value = self.names.fresh(&format!("{output}_{}", op.to_ascii_lowercase()));
        let name = self.names.fresh(&format!("{output}_{op}"));
        self.keep(NodeProto { attribute, ..node(name, op, inputs, &[&value]) });
        value
    }

    /// The same in a domain of its own.
    pub(super) fn apply_in(
        &mut self,
        domain: &str,
        op: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let value = self.apply_with(op, inputs, output, attribute);
        self.graph.nodes.last_mut().expect("a node was added").domain = Some(domain.to_owned());
        value
    }

    /// Gives the last node's output the name that its users know, in the type that they expect.
    pub(super) fn finish(&mut self, value: &str, output: &str, data_type: i32) {
        let value = self.narrow(value, data_type);
        let last = self.graph.nodes.last_mut().filter(|node| node.output == [value]);
        last.expect("the last node made the value").output = vec![output.to_owned()];
    }

    /// Quantizes an activation once in a graph, before its first user.
    pub(super) fn activation(&mut self, name: &str, data_type: i32) -> Activation {
        if let Some(known) = self.graph.activations.get(name) {
            return known.clone();
        }
        let floats = self.as_float(name, data_type);
        let new = Activation {
            quantized: self.names.fresh(&format!("{name}_quantized")),
            scale: self.names.fresh(&format!("{name}_scale")),
            zero_point: self.names.fresh(&format!("{name}_zero_point")),
        };
        let node_name = self.names.fresh(&format!("{name}_DynamicQuantizeLinear"));
        let outputs = [&*new.quantized, &new.scale, &new.zero_point];
        self.keep(node(node_name, "DynamicQuantizeLinear", &[&floats], &outputs));
        self.graph.activations.insert(name.to_owned(), new.clone());
        new
    }

    /// A value of the graph in single precision.
    pub(super) fn as_float(&mut self, name: &str, data_type: i32) -> String {
        if data_type == DataType::FLOAT.code() {
            return name.to_owned();
        }
        if let Some(known) = self.graph.floats.get(name) {
            return known.clone();
        }
        let floats = self.widen(name);
        self.graph.floats.insert(name.to_owned(), floats.clone());
        floats
    }

    /// Casts to single precision.
    pub(super) fn widen(&mut self, name: &str) -> String {
        self.cast(name, DataType::FLOAT.code())
    }

    /// Casts from single precision to the type of the model.
    pub(super) fn narrow(&mut self, name: &str, data_type: i32) -> String {
        if data_type == DataType::FLOAT.code() { name.to_owned() } else { self.cast(name, data_type) }
    }

    fn cast(&mut self, name: &str, to: i32) -> String {
        self.apply_with("Cast", &[name], name, vec![int("to", to.into())])
    }

    /// Swaps the axes of a matrix, once in a graph.
    pub(super) fn transposed(&mut self, name: &str) -> String {
        self.transposed_by(name, &[1, 0])
    }

    /// Swaps the axes of each matrix of a batch, once in a graph.
    pub(super) fn transposed_matrices(&mut self, name: &str) -> String {
        self.transposed_by(name, &[0, 2, 1])
    }

    fn transposed_by(&mut self, name: &str, perm: &[i64]) -> String {
        if let Some(known) = self.graph.transposed.get(name) {
            return known.clone();
        }
        let turned = self.apply_with("Transpose", &[name], name, vec![ints("perm", perm)]);
        self.graph.transposed.insert(name.to_owned(), turned.clone());
        turned
    }

    /// A value times a constant.
    pub(super) fn times(&mut self, name: &str, factor: f32) -> String {
        if factor.to_bits() == 1.0_f32.to_bits() {
            return name.to_owned();
        }
        let constant = self.names.fresh(&format!("{name}_factor"));
        self.constants.push(float_tensor(&constant, &[], &[factor]));
        self.apply("Mul", &[name, &constant], name)
    }

    /// A value with other dimensions.
    pub(super) fn reshaped(&mut self, name: &str, dims: &[i64]) -> String {
        let shape = self.names.fresh(&format!("{name}_shape"));
        self.constants.push(int_list(&shape, dims));
        self.apply("Reshape", &[name, &shape], name)
    }

    /// The integers of a weight in the orientation that a user needs.
    pub(super) fn stored(&mut self, weight: usize, transposed: bool) -> String {
        let name = self.stored[weight].name.clone();
        if transposed && !is_transposed(&self.wanted[weight]) { self.transposed(&name) } else { name }
    }

    /// The scalar that stands for zero in the kernel of a convolution.
    pub(super) fn kernel_zero_point(&mut self) -> String {
        let zero = kernel_scheme(self.method).zero_point;
        self.zero_point(u8::try_from(zero).expect("kernels are unsigned bytes"))
    }

    /// A scalar that stands for zero: `int8` 0, or another of `uint8`.
    pub(super) fn zero_point(&mut self, byte: u8) -> String {
        if let Some(known) = self.zero_points.get(&byte) {
            return known.clone();
        }
        let data_type = if byte == 0 { DataType::INT8 } else { DataType::UINT8 };
        let name = self.names.fresh(&format!("{data_type}_zero_point"));
        self.constants.push(int_scalar(&name, data_type, byte));
        self.zero_points.insert(byte, name.clone());
        name
    }

    /// Zeros of `int8`: the zero points of symmetric channels.
    pub(super) fn zeros(&mut self, dims: &[i64]) -> String {
        if let Some(known) = self.zeros.get(dims) {
            return known.clone();
        }
        let sizes: Vec<String> = dims.iter().map(i64::to_string).collect();
        let name = self.names.fresh(&format!("int8_zero_points_{}", sizes.join("_")));
        self.constants.push(int8_zeros(&name, dims));
        self.zeros.insert(dims.to_vec(), name.clone());
        name
    }

    /// The scales of a weight in the shape that a user needs, times a factor.
    pub(super) fn scale_tensor(&mut self, weight: usize, dims: &[i64], factor: f32) -> String {
        let same = |known: &&ScaleTensor| known.dims == dims && known.factor.to_bits() == factor.to_bits();
        if let Some(known) = self.stored[weight].scales.iter().find(same) {
            return known.name.clone();
        }
        let name = self.names.fresh(&format!("{}_scale", self.wanted[weight].name));
        self.stored[weight].scales.push(ScaleTensor { name: name.clone(), dims: dims.to_vec(), factor });
        name
    }

    /// The zero points of a weight's blocks.
    pub(super) fn zero_points(&mut self, weight: usize) -> String {
        let name = format!("{}_zero_points", self.wanted[weight].name);
        let names = &mut self.names;
        self.stored[weight].zero_points.get_or_insert_with(|| names.fresh(&name)).clone()
    }

    /// The product of both scales, described with its shape: rten fuses only where it knows it.
    pub(super) fn scale(
        &mut self,
        weight: usize,
        dims: &[i64],
        factor: f32,
        activation: &str,
        output: &str,
    ) -> String {
        let own = self.scale_tensor(weight, dims, factor);
        let scale = self.apply("Mul", &[activation, &own], &format!("{output}_scale"));
        self.graph.value_info.push(value_info(&scale, DataType::FLOAT, dims));
        scale
    }

    /// What [`remember`](Self::remember) was told in this graph.
    pub(super) fn expanded(&self, key: ExpandedKey) -> Option<String> {
        self.graph.expanded.get(&key).cloned()
    }

    /// Remembers the value of a weight that was brought back to floats.
    pub(super) fn remember(&mut self, key: ExpandedKey, value: &str) {
        self.graph.expanded.insert(key, value.to_owned());
    }
}

/// Whether a weight is stored transposed: when every user takes it so.
pub(super) fn is_transposed(weight: &Wanted) -> bool {
    weight.transposed && !weight.straight
}

/// How the kernel of a convolution in integers is stored.
pub(super) fn kernel_scheme(method: Method) -> Scheme {
    match method {
        Method::Dynamic { reduce_range: true, .. } => Scheme::UINT8_REDUCED,
        _ => Scheme::UINT8,
    }
}
