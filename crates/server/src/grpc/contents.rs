//! Typed tensor contents: the form without raw bytes.

use super::proto::InferTensorContents;
use crate::binding::wrong_count;
use crate::error::ApiError;
use crate::tensor::{DataType, TensorData, element_count};

/// Elements from the field that belongs to the type.
pub(super) fn decode(
    name: &str,
    datatype: DataType,
    shape: &[usize],
    contents: Option<&InferTensorContents>,
) -> Result<TensorData, ApiError> {
    let count = element_count(shape).unwrap_or(usize::MAX);
    let Some(contents) = contents else {
        return match count {
            0 => Ok(TensorData::zeros(datatype, 0)),
            _ => Err(ApiError::BadRequest(format!("input {name:?} has no contents"))),
        };
    };
    let out_of_range =
        || ApiError::BadRequest(format!("input {name:?} has a value that is out of range of {datatype}"));
    let got = length(datatype, contents);
    if got != Some(count) && got.is_some() {
        return Err(wrong_count(name, count, got.unwrap_or_default()));
    }
    Ok(match datatype {
        DataType::Bool => TensorData::Bool(contents.bool_contents.clone()),
        DataType::Int8 => TensorData::Int8(narrow(&contents.int_contents).ok_or_else(out_of_range)?),
        DataType::UInt8 => TensorData::UInt8(narrow(&contents.uint_contents).ok_or_else(out_of_range)?),
        DataType::Int32 => TensorData::Int32(contents.int_contents.clone()),
        DataType::Int64 => TensorData::Int64(contents.int64_contents.clone()),
        DataType::Fp32 => TensorData::Fp32(contents.fp32_contents.clone()),
        DataType::Fp64 => TensorData::Fp64(contents.fp64_contents.clone()),
        DataType::Bytes => TensorData::Bytes(contents.bytes_contents.clone()),
        DataType::Fp16 => {
            return Err(ApiError::BadRequest(format!(
                "input {name:?} is FP16: send it in raw_input_contents"
            )));
        }
    })
}

fn length(datatype: DataType, contents: &InferTensorContents) -> Option<usize> {
    Some(match datatype {
        DataType::Bool => contents.bool_contents.len(),
        DataType::Int8 | DataType::Int32 => contents.int_contents.len(),
        DataType::UInt8 => contents.uint_contents.len(),
        DataType::Int64 => contents.int64_contents.len(),
        DataType::Fp32 => contents.fp32_contents.len(),
        DataType::Fp64 => contents.fp64_contents.len(),
        DataType::Bytes => contents.bytes_contents.len(),
        DataType::Fp16 => return None,
    })
}

fn narrow<W: Copy, N: TryFrom<W>>(values: &[W]) -> Option<Vec<N>> {
    values.iter().map(|&value| N::try_from(value).ok()).collect()
}

/// Elements in the field that belongs to the type; nothing for `FP16`, which has none.
pub(super) fn encode(data: &TensorData) -> Option<InferTensorContents> {
    let mut contents = InferTensorContents::default();
    match data {
        TensorData::Bool(values) => contents.bool_contents.clone_from(values),
        TensorData::Int8(values) => contents.int_contents = values.iter().map(|&v| i32::from(v)).collect(),
        TensorData::UInt8(values) => contents.uint_contents = values.iter().map(|&v| u32::from(v)).collect(),
        TensorData::Int32(values) => contents.int_contents.clone_from(values),
        TensorData::Int64(values) => contents.int64_contents.clone_from(values),
        TensorData::Fp32(values) => contents.fp32_contents.clone_from(values),
        TensorData::Fp64(values) => contents.fp64_contents.clone_from(values),
        TensorData::Bytes(values) => contents.bytes_contents.clone_from(values),
        TensorData::Fp16(_) => return None,
    }
    Some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_contents_survive_a_round_trip() {
        for data in [
            TensorData::Bool(vec![true, false]),
            TensorData::Int8(vec![-128, 127]),
            TensorData::UInt8(vec![0, 255]),
            TensorData::Int32(vec![i32::MIN, 1]),
            TensorData::Int64(vec![i64::MIN, 1]),
            TensorData::Fp32(vec![0.5, -1.0]),
            TensorData::Fp64(vec![0.5, -1.0]),
            TensorData::Bytes(vec!["a".into(), "".into()]),
        ] {
            let contents = encode(&data).unwrap();
            assert_eq!(decode("x", data.datatype(), &[2], Some(&contents)), Ok(data));
        }
    }

    #[test]
    fn contents_that_do_not_fit_are_refused() {
        let contents = InferTensorContents { int_contents: vec![128], ..Default::default() };
        assert!(
            decode("x", DataType::Int8, &[1], Some(&contents))
                .unwrap_err()
                .to_string()
                .contains("out of range")
        );
        assert!(
            decode("x", DataType::Int32, &[2], Some(&contents)).unwrap_err().to_string().contains("needs 2")
        );
        assert!(
            decode("x", DataType::Fp32, &[1], Some(&contents)).unwrap_err().to_string().contains("got 0")
        );
        assert!(decode("x", DataType::Fp16, &[1], Some(&contents)).unwrap_err().to_string().contains("FP16"));
        assert!(decode("x", DataType::Fp32, &[1], None).is_err());
        assert!(decode("x", DataType::Fp32, &[0], None).is_ok());
    }
}
