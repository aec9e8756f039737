//! Requests and answers of the Open Inference Protocol, version 2, with tensors in its binary form: no number changes on the
//! way, NaN and infinities included, and writing and reading them takes next to no time.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use slipway_server::{DataType, NamedTensor, Tensor, TensorData, element_count};

/// The header that says how much of a body is JSON; the elements follow.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// A request for every output of a model, ready to be sent as often as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(super) body: Bytes,
    pub(super) header_length: usize,
}

#[derive(Serialize)]
struct Head<'a> {
    parameters: Wanted,
    inputs: Vec<Described<'a>>,
}

#[derive(Serialize)]
struct Wanted {
    binary_data_output: bool,
}

#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    parameters: Size,
}

#[derive(Serialize, Deserialize)]
struct Size {
    binary_data_size: usize,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Given>,
}

#[derive(Deserialize)]
struct Given {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    parameters: Size,
}

impl Request {
    /// A request with these inputs.
    ///
    /// # Errors
    /// Never for tensors; the signature is the JSON writer's.
    pub fn new(inputs: &[NamedTensor]) -> Result<Self, serde_json::Error> {
        let described = inputs.iter().map(|NamedTensor { name, tensor }| Described {
            name,
            datatype: tensor.datatype().name(),
            shape: tensor.shape(),
            parameters: Size { binary_data_size: tensor.data().size_bytes() },
        });
        let head = Head { parameters: Wanted { binary_data_output: true }, inputs: described.collect() };
        let mut body = serde_json::to_vec(&head)?;
        let header_length = body.len();
        for input in inputs {
            input.tensor.data().write_le_bytes(&mut body);
        }
        Ok(Self { body: body.into(), header_length })
    }
}

/// The tensors of an answer of which so many bytes are JSON; all of it, where nothing is said.
pub(super) fn answer(body: &[u8], header_length: Option<usize>) -> Result<Vec<NamedTensor>, String> {
    let (head, mut rest) = body
        .split_at_checked(header_length.unwrap_or(body.len()))
        .ok_or_else(|| "its answer is shorter than its header says".to_owned())?;
    let answer: Answer =
        serde_json::from_slice(head).map_err(|error| format!("its answer cannot be read: {error}"))?;
    answer.outputs.into_iter().map(|given| given.take(&mut rest)).collect()
}

impl Given {
    /// Takes its elements from the front of what is left.
    fn take(self, rest: &mut &[u8]) -> Result<NamedTensor, String> {
        let Self { name, datatype, shape, parameters: Size { binary_data_size } } = self;
        let elements = rest.split_at_checked(binary_data_size);
        let (elements, left) = elements.ok_or_else(|| format!("the elements of {name:?} are missing"))?;
        *rest = left;
        let data =
            DataType::named(&datatype).and_then(|datatype| TensorData::from_le_bytes(datatype, elements));
        let tensor = element_count(&shape).and(data).and_then(|data| Tensor::new(shape.clone(), data));
        let tensor = tensor.ok_or_else(|| {
            format!(
                "{name:?} is {datatype} with shape {shape:?}, and its elements take {} bytes",
                elements.len()
            )
        })?;
        Ok(NamedTensor { name, tensor })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn elements_follow_the_json_and_keep_every_bit() {
        let values = [f32::NEG_INFINITY, f32::NAN, -0.0, 1.0e-42];
        let tensor = Tensor::new(vec![1, 4], TensorData::Fp32(values.to_vec())).unwrap();
        let Request { body, header_length } =
            Request::new(&[NamedTensor { name: "x".to_owned(), tensor }]).unwrap();
        let head: Value = serde_json::from_slice(&body[..header_length]).unwrap();
        let input = json!({ "name": "x", "datatype": "FP32", "shape": [1, 4], "parameters": { "binary_data_size": 16 } });
        assert_eq!(head, json!({ "parameters": { "binary_data_output": true }, "inputs": [input] }));

        let head = json!({ "outputs": [input] }).to_string();
        let answered = [head.as_bytes(), &body[header_length..]].concat();
        let outputs = answer(&answered, Some(head.len())).unwrap();
        let TensorData::Fp32(read) = outputs[0].tensor.data() else { panic!("{outputs:?}") };
        assert!(read.iter().zip(values).all(|(read, value)| read.to_bits() == value.to_bits()), "{read:?}");
    }

    #[test]
    fn answers_that_are_not_what_they_say_are_refused() {
        let of = |patch: Value| {
            let mut output = json!({ "name": "y", "datatype": "FP32", "shape": [1], "parameters": { "binary_data_size": 4 } });
            output.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
            let head = json!({ "outputs": [output] }).to_string();
            answer(&[head.as_bytes(), &[0; 4]].concat(), Some(head.len()))
        };
        assert!(of(json!({})).is_ok());
        for (patch, words) in [
            (json!({ "shape": [2] }), "shape [2], and its elements take 4 bytes"),
            (json!({ "shape": [u64::MAX, 2] }), "its elements take 4 bytes"),
            (json!({ "datatype": "FP33" }), "FP33"),
            (json!({ "parameters": { "binary_data_size": 5 } }), "elements of \"y\" are missing"),
            (json!({ "parameters": {} }), "cannot be read"),
        ] {
            let error = of(patch).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
        assert!(answer(b"{}", Some(3)).unwrap_err().contains("shorter"));
        assert!(answer(b"{}", None).unwrap_err().contains("outputs"));
    }
}
