//! The nodes that stand for one quantized multiplication.

use std::collections::HashMap;

use slipway_model::onnx::DataType;
use slipway_model::onnx::proto::attribute_proto::AttributeType;
use slipway_model::onnx::proto::tensor_shape_proto::{Dimension, dimension};
use slipway_model::onnx::proto::{
    AttributeProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use super::Granularity;
use super::names::Names;
use super::select::{Candidate, Weight};

/// The names of a quantized weight.
#[derive(Debug, Clone)]
pub(super) struct WeightNames {
    pub(super) quantized: String,
    /// One scale tensor for each `alpha` that the weight is multiplied with.
    pub(super) scales: Vec<(String, f32)>,
}

/// The names of a quantized activation.
#[derive(Clone)]
struct ActivationNames {
    quantized: String,
    scale: String,
    zero_point: String,
}

/// Writes nodes, and remembers what they may share.
pub(super) struct Emitter<'a> {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) value_info: Vec<ValueInfoProto>,
    /// Small constants that the new nodes need.
    pub(super) constants: Vec<TensorProto>,
    pub(super) weights: Vec<WeightNames>,
    names: Names,
    sources: &'a [Weight],
    granularity: Granularity,
    activations: HashMap<String, ActivationNames>,
    transposed: HashMap<String, String>,
    zero_point: String,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(mut names: Names, sources: &'a [Weight], granularity: Granularity) -> Self {
        let quantized = |weight: &Weight| names.fresh(&format!("{}_quantized", weight.name));
        let quantized: Vec<String> = sources.iter().map(quantized).collect();
        let zero_point = names.fresh("int8_zero_point");
        let zero = TensorProto {
            data_type: Some(DataType::INT8.code()),
            name: Some(zero_point.clone()),
            raw_data: Some(vec![0].into()),
            ..TensorProto::default()
        };
        Self {
            nodes: Vec::new(),
            value_info: Vec::new(),
            constants: vec![zero],
            weights: quantized
                .into_iter()
                .map(|quantized| WeightNames { quantized, scales: Vec::new() })
                .collect(),
            names,
            sources,
            granularity,
            activations: HashMap::new(),
            transposed: HashMap::new(),
            zero_point,
        }
    }

    /// Replaces `node`; its output keeps its name.
    pub(super) fn replace(&mut self, node: &NodeProto, candidate: &Candidate) {
        let output = node.output.first().map_or("", String::as_str);
        let activation = self.activation(&candidate.activation);
        let left = if candidate.gemm.trans_a {
            self.transposed(&activation.quantized)
        } else {
            activation.quantized.clone()
        };
        let right = self.weights[candidate.weight].quantized.clone();
        let zero_point = self.zero_point.clone();
        let integers = self.names.fresh(&format!("{output}_int32"));
        self.push("MatMulInteger", &[&left, &right, &activation.zero_point, &zero_point], &[&integers]);
        let floats = self.names.fresh(&format!("{output}_float"));
        self.push("Cast", &[&integers], &[&floats]).attribute.push(int("to", DataType::FLOAT.code().into()));
        let scale = self.scale(output, candidate, &activation.scale);
        match &candidate.bias {
            None => drop(self.push("Mul", &[&floats, &scale], &[output])),
            Some(bias) => {
                let scaled = self.names.fresh(&format!("{output}_scaled"));
                self.push("Mul", &[&floats, &scale], &[&scaled]);
                let bias = self.bias(output, bias, candidate.gemm.beta);
                self.push("Add", &[&scaled, &bias], &[output]);
            }
        }
    }

    /// Quantizes an activation once, before its first user.
    fn activation(&mut self, name: &str) -> ActivationNames {
        if let Some(known) = self.activations.get(name) {
            return known.clone();
        }
        let new = ActivationNames {
            quantized: self.names.fresh(&format!("{name}_quantized")),
            scale: self.names.fresh(&format!("{name}_scale")),
            zero_point: self.names.fresh(&format!("{name}_zero_point")),
        };
        self.push("DynamicQuantizeLinear", &[name], &[&new.quantized, &new.scale, &new.zero_point]);
        self.activations.insert(name.to_owned(), new.clone());
        new
    }

    fn transposed(&mut self, quantized: &str) -> String {
        if let Some(known) = self.transposed.get(quantized) {
            return known.clone();
        }
        let name = self.names.fresh(&format!("{quantized}_transposed"));
        self.push("Transpose", &[quantized], &[&name]).attribute.push(ints("perm", &[1, 0]));
        self.transposed.insert(quantized.to_owned(), name.clone());
        name
    }

    /// The product of both scales, with its shape: rten fuses only where it knows it.
    fn scale(&mut self, output: &str, candidate: &Candidate, activation_scale: &str) -> String {
        let weight_scale = self.weight_scale(candidate);
        let name = self.names.fresh(&format!("{output}_scale"));
        self.push("Mul", &[activation_scale, &weight_scale], &[&name]);
        let channels = self.sources[candidate.weight].dims().last().copied().unwrap_or(1);
        let dims: &[i64] = match self.granularity {
            Granularity::PerTensor => &[],
            Granularity::PerChannel => &[channels],
        };
        self.value_info.push(float_value(&name, dims));
        name
    }

    fn weight_scale(&mut self, candidate: &Candidate) -> String {
        let alpha = candidate.gemm.alpha;
        let known = self.weights[candidate.weight].scales.iter();
        if let Some((name, _)) = known.clone().find(|(_, known)| known.to_bits() == alpha.to_bits()) {
            return name.clone();
        }
        let name = self.names.fresh(&format!("{}_scale", self.sources[candidate.weight].name));
        self.weights[candidate.weight].scales.push((name.clone(), alpha));
        name
    }

    fn bias(&mut self, output: &str, bias: &str, beta: f32) -> String {
        if beta.to_bits() == 1.0_f32.to_bits() {
            return bias.to_owned();
        }
        let factor = self.names.fresh(&format!("{output}_beta"));
        self.constants.push(TensorProto {
            data_type: Some(DataType::FLOAT.code()),
            name: Some(factor.clone()),
            raw_data: Some(beta.to_le_bytes().to_vec().into()),
            ..TensorProto::default()
        });
        let name = self.names.fresh(&format!("{output}_bias"));
        self.push("Mul", &[bias, &factor], &[&name]);
        name
    }

    fn push(&mut self, op: &str, inputs: &[&str], outputs: &[&str]) -> &mut NodeProto {
        let name = self.names.fresh(&format!("{}_{op}", outputs.first().unwrap_or(&"")));
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        self.nodes.push(NodeProto {
            input: strings(inputs),
            output: strings(outputs),
            name: Some(name),
            op_type: Some(op.to_owned()),
            ..NodeProto::default()
        });
        self.nodes.last_mut().expect("a node was pushed")
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..AttributeProto::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Ints as i32),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn float_value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim =
        |size: &i64| Dimension { value: Some(dimension::Value::DimValue(*size)), ..Dimension::default() };
    let tensor = type_proto::Tensor {
        elem_type: Some(DataType::FLOAT.code()),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfoProto::default() }
}
