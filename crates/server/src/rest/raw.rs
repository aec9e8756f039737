//! The shortest form of the binary-tensor extension: a body that is nothing but the elements of the one input.

use super::request::{InferRequest, WantedOutput};
use crate::backend::TensorSpec;
use crate::binding::{decode_binary, wrong_count};
use crate::engine::Engine;
use crate::error::ApiError;
use crate::tensor::{DataType, Tensor};

/// Reads a body without JSON. All outputs are answered, in the binary form.
pub(super) fn parse(engine: &Engine, body: &[u8]) -> Result<InferRequest, ApiError> {
    let [spec] = engine.inputs() else {
        let count = engine.inputs().len();
        return Err(refused(&format!(
            "a body without JSON is for models of one input, and this one has {count}"
        )));
    };
    let shape = shape(spec, body.len())?;
    let data = decode_binary(&spec.name, spec.datatype, &shape, body)?;
    let got = data.len();
    let tensor = Tensor::new(shape, data).ok_or_else(|| wrong_count(&spec.name, 0, got))?;
    let outputs = (0..engine.outputs().len()).map(|index| WantedOutput { index, binary: true });
    Ok(InferRequest { id: None, inputs: vec![tensor], outputs: outputs.collect() })
}

/// The shape of so many bytes: one open dimension takes them all; of two, the first counts samples and is 1.
fn shape(spec: &TensorSpec, bytes: usize) -> Result<Vec<usize>, ApiError> {
    let name = &spec.name;
    let size = element_size(spec.datatype).ok_or_else(|| {
        refused(&format!("a body without JSON holds numbers, and input {name:?} is {}", spec.datatype))
    })?;
    let mut dims = spec.shape.clone().unwrap_or_default();
    let open = dims.iter().filter(|dim| dim.is_none()).count();
    if let (2, Some(first @ None)) = (open, dims.first_mut()) {
        *first = Some(1);
    }
    let open: Vec<_> = (0..dims.len()).filter(|at| dims[*at].is_none()).collect();
    if spec.shape.is_none() || open.len() > 1 {
        return Err(refused(&format!("the shape of input {name:?} does not follow from a number of bytes")));
    }
    let known = dims.iter().flatten().try_fold(size, |product, dim| product.checked_mul(*dim));
    let rest = known.filter(|known| *known > 0).map_or(0, |known| bytes / known);
    if let (false, Some(row)) = (open.is_empty(), known.filter(|row| *row > 0 && !bytes.is_multiple_of(*row)))
    {
        return Err(ApiError::BadRequest(format!(
            "input {name:?}: {bytes} bytes are no whole number of rows of {row}"
        )));
    }
    Ok(dims.into_iter().map(|dim| dim.unwrap_or(rest)).collect())
}

fn refused(problem: &str) -> ApiError {
    ApiError::BadRequest(format!(
        "Inference-Header-Content-Length is 0, but {problem}: describe the inputs in JSON"
    ))
}

/// Bytes of an element; nothing for text, whose elements differ.
fn element_size(datatype: DataType) -> Option<usize> {
    match datatype {
        DataType::Bool | DataType::Int8 | DataType::UInt8 => Some(1),
        DataType::Fp16 => Some(2),
        DataType::Int32 | DataType::Fp32 => Some(4),
        DataType::Int64 | DataType::Fp64 => Some(8),
        DataType::Bytes => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(datatype: DataType, dims: &[Option<usize>], bytes: usize) -> Result<Vec<usize>, String> {
        let spec = TensorSpec { name: "x".to_owned(), datatype, shape: Some(dims.to_vec()) };
        shape(&spec, bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shape_follows_from_the_bytes_where_one_dimension_is_open() {
        let fp32 = DataType::Fp32;
        assert_eq!(of(fp32, &[None, Some(2)], 24), Ok(vec![3, 2]));
        assert_eq!(of(fp32, &[Some(1), Some(3)], 12), Ok(vec![1, 3]));
        assert_eq!(of(DataType::Int64, &[None, None], 24), Ok(vec![1, 3]));
        assert_eq!(of(DataType::UInt8, &[Some(1), None, Some(0)], 0), Ok(vec![1, 0, 0]));
        assert_eq!(of(fp32, &[], 4), Ok(vec![]));
        let broken = of(DataType::UInt8, &[None, Some(32), Some(32), Some(3)], 3069).unwrap_err();
        assert!(broken.ends_with("input \"x\": 3069 bytes are no whole number of rows of 3072"), "{broken}");
        for (datatype, dims) in
            [(fp32, &[None, None, None][..]), (fp32, &[Some(1), None, None]), (DataType::Bytes, &[None])]
        {
            assert!(of(datatype, dims, 24).unwrap_err().contains("describe the inputs in JSON"), "{dims:?}");
        }
    }
}
