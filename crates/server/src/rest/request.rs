//! Reading an inference request: JSON, or JSON followed by binary tensors.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::elements::decode_json;
use super::syntax;
use crate::backend::TensorSpec;
use crate::binding::{Offered, bind, decode_binary, output_index};
use crate::engine::Engine;
use crate::error::{ApiError, unsupported};
use crate::tensor::Tensor;

/// A request that fits the model.
#[derive(Debug)]
pub(crate) struct InferRequest {
    /// The client's name for the request, sent back unchanged.
    pub(crate) id: Option<String>,
    /// One tensor for each input, in the model's order.
    pub(crate) inputs: Vec<Tensor>,
    /// What to answer, in the order asked for.
    pub(crate) outputs: Vec<WantedOutput>,
}

/// One output that the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WantedOutput {
    /// Position among the model's outputs.
    pub(crate) index: usize,
    /// Whether it goes behind the JSON, in the binary form.
    pub(crate) binary: bool,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    parameters: Parameters<'a>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    #[serde(borrow, default)]
    outputs: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Vec<i64>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(borrow, default)]
    parameters: Parameters<'a>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    parameters: Parameters<'a>,
}

/// The parameters that mean something here; others are allowed and ignored, as the protocol asks.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters<'a> {
    binary_data_size: Option<usize>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
    #[serde(borrow)]
    classification: Option<&'a RawValue>,
    #[serde(borrow)]
    shared_memory_region: Option<&'a RawValue>,
}

impl Parameters<'_> {
    fn check(&self) -> Result<(), ApiError> {
        if self.classification.is_some() {
            return Err(unsupported("classification"));
        }
        if self.shared_memory_region.is_some() {
            return Err(unsupported("shared memory"));
        }
        Ok(())
    }
}

enum Content<'a> {
    Json(&'a RawValue),
    Binary(&'a [u8]),
}

/// Reads a whole body. `header_length` is the `Inference-Header-Content-Length`: how much of the body is JSON.
pub(crate) fn parse(
    engine: &Engine,
    body: &[u8],
    header_length: Option<usize>,
) -> Result<InferRequest, ApiError> {
    let (json, mut tail) = split_header(body, header_length)?;
    let request = body_of(json)?;
    request.parameters.check()?;
    let mut offered = Vec::with_capacity(request.inputs.len());
    for input in &request.inputs {
        input.parameters.check()?;
        offered.push(Offered {
            name: &input.name,
            datatype: &input.datatype,
            shape: &input.shape,
            content: content(input, &mut tail)?,
        });
    }
    if !tail.is_empty() {
        let extra = tail.len();
        return Err(ApiError::BadRequest(format!("{extra} bytes follow the last input's binary data")));
    }
    let inputs = bind(engine.inputs(), offered, |name, datatype, shape, content| match content {
        Content::Json(data) => decode_json(name, datatype, shape, data),
        Content::Binary(bytes) => decode_binary(name, datatype, shape, bytes),
    })?;
    let outputs = wanted_outputs(engine.outputs(), &request)?;
    Ok(InferRequest { id: request.id.map(Cow::into_owned), inputs, outputs })
}

/// The object in a body; a list of its fields' values, which the reader would take too, is none.
fn body_of(json: &[u8]) -> Result<Body<'_>, ApiError> {
    let is_object = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let read = serde_json::from_slice(json);
    let read =
        if is_object { read } else { read.and_then(|_: Body<'_>| Err(serde::de::Error::custom("a list"))) };
    read.map_err(|error| syntax::refused(json, &error))
}

fn split_header(body: &[u8], header_length: Option<usize>) -> Result<(&[u8], &[u8]), ApiError> {
    let Some(length) = header_length else { return Ok((body, &[])) };
    body.split_at_checked(length).ok_or_else(|| {
        let size = body.len();
        ApiError::BadRequest(format!(
            "Inference-Header-Content-Length is {length}, but the body has {size} bytes"
        ))
    })
}

fn content<'a>(input: &Input<'a>, tail: &mut &'a [u8]) -> Result<Content<'a>, ApiError> {
    let name = &input.name;
    match (input.data, input.parameters.binary_data_size) {
        (Some(data), None) => Ok(Content::Json(data)),
        (None, Some(size)) => {
            let Some((bytes, rest)) = tail.split_at_checked(size) else {
                let left = tail.len();
                return Err(ApiError::BadRequest(format!(
                    "input {name:?} says {size} bytes of binary data, but {left} are left"
                )));
            };
            *tail = rest;
            Ok(Content::Binary(bytes))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::BadRequest(format!("input {name:?} has both data and binary_data_size")))
        }
        (None, None) => Err(ApiError::BadRequest(format!("input {name:?} has no data"))),
    }
}

fn wanted_outputs(specs: &[TensorSpec], request: &Body<'_>) -> Result<Vec<WantedOutput>, ApiError> {
    let default = request.parameters.binary_data_output.unwrap_or(false);
    if request.outputs.is_empty() {
        return Ok((0..specs.len()).map(|index| WantedOutput { index, binary: default }).collect());
    }
    let mut wanted: Vec<WantedOutput> = Vec::with_capacity(specs.len());
    for output in &request.outputs {
        output.parameters.check()?;
        let index = output_index(specs, &output.name)?;
        if wanted.iter().any(|earlier| earlier.index == index) {
            return Err(ApiError::BadRequest(format!("output {:?} is asked for twice", output.name)));
        }
        wanted.push(WantedOutput { index, binary: output.parameters.binary_data.unwrap_or(default) });
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::{Backend, RunError};
    use crate::tensor::DataType;

    /// A model of two inputs that is never run.
    struct Unused(Vec<TensorSpec>);

    impl Backend for Unused {
        fn name(&self) -> &'static str {
            "unused"
        }
        fn version(&self) -> &'static str {
            "0"
        }
        fn inputs(&self) -> &[TensorSpec] {
            &self.0
        }
        fn outputs(&self) -> &[TensorSpec] {
            &self.0
        }
        fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
            Ok(inputs)
        }
    }

    fn engine() -> Engine {
        let spec = |name: &str, datatype, shape| TensorSpec { name: name.to_owned(), datatype, shape };
        Engine::from_backend(Box::new(Unused(vec![
            spec("x", DataType::Fp32, Some(vec![None, Some(2)])),
            spec("n", DataType::Int64, None),
        ])))
    }

    const VALID: &str = r#"{"id":"a","inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},{"name":"n","datatype":"INT64","shape":[],"data":[7]}],"outputs":[{"name":"n"}]}"#;

    #[test]
    fn valid_request_is_read() {
        let body = [VALID.as_bytes(), &[0; 8]].concat();
        let request = parse(&engine(), &body, Some(VALID.len())).unwrap();
        assert_eq!(request.id.as_deref(), Some("a"));
        assert_eq!(request.inputs.len(), 2);
        assert_eq!(request.outputs, [WantedOutput { index: 1, binary: false }]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(body: Vec<u8>, header: Option<u16>) {
            let _ = parse(&engine(), &body, header.map(usize::from));
        }

        #[test]
        fn damaged_requests_are_an_answer_or_an_error(
            at in 0..VALID.len(),
            byte: u8,
            cut in 0..VALID.len() + 8,
            header in 0..2 * VALID.len(),
        ) {
            let mut body = [VALID.as_bytes(), &[0; 8]].concat();
            body[at] = byte;
            body.truncate(cut);
            let _ = parse(&engine(), &body, Some(header));
            let _ = parse(&engine(), &body, Some(VALID.len()));
        }

        #[test]
        fn any_shape_and_length_are_an_answer_or_an_error(shape: Vec<i64>, size: u64, values: Vec<f64>) {
            let json = serde_json::json!({ "inputs": [
                { "name": "x", "datatype": "FP32", "shape": shape, "parameters": { "binary_data_size": size } },
                { "name": "n", "datatype": "INT64", "shape": shape, "data": values },
            ] });
            let text = json.to_string();
            prop_assert!(parse(&engine(), text.as_bytes(), Some(text.len())).is_err());
        }
    }
}
