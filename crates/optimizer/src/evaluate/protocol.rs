//! Tensors and model metadata in the JSON form of the Open Inference Protocol, version 2.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use slipway_model::npz::Dtype;

/// An element type under the protocol's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the protocol's and say all")]
pub enum Datatype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Fp16,
    Fp32,
    Fp64,
    Bf16,
    Bytes,
}

impl Datatype {
    /// The protocol's type for an array's.
    pub fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Bool => Self::Bool,
            Dtype::I8 => Self::Int8,
            Dtype::I16 => Self::Int16,
            Dtype::I32 => Self::Int32,
            Dtype::I64 => Self::Int64,
            Dtype::U8 => Self::Uint8,
            Dtype::U16 => Self::Uint16,
            Dtype::U32 => Self::Uint32,
            Dtype::U64 => Self::Uint64,
            Dtype::F16 => Self::Fp16,
            Dtype::F32 => Self::Fp32,
            Dtype::F64 => Self::Fp64,
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_uppercase())
    }
}

/// An input or output of a model, from its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: Datatype,
    /// Size of each axis, -1 where it varies; a lone -1 also where the model does not say how many axes there are.
    pub shape: Vec<i64>,
}

impl From<&slipway_server::TensorSpec> for TensorSpec {
    fn from(spec: &slipway_server::TensorSpec) -> Self {
        use slipway_server::DataType;
        let datatype = match spec.datatype {
            DataType::Bool => Datatype::Bool,
            DataType::Int8 => Datatype::Int8,
            DataType::UInt8 => Datatype::Uint8,
            DataType::Int32 => Datatype::Int32,
            DataType::Int64 => Datatype::Int64,
            DataType::Fp16 => Datatype::Fp16,
            DataType::Fp32 => Datatype::Fp32,
            DataType::Fp64 => Datatype::Fp64,
            DataType::Bytes => Datatype::Bytes,
        };
        Self { name: spec.name.clone(), datatype, shape: spec.protocol_shape() }
    }
}

impl TensorSpec {
    /// Whether a shape fits, with the batch axis in front.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        let fits = |(want, got): (&i64, &usize)| *want < 0 || u64::try_from(*want) == u64::try_from(*got);
        self.shape == [-1] || (self.shape.len() == shape.len() && self.shape.iter().zip(shape).all(fits))
    }
}

/// A tensor of a request, an answer or a golden sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WireTensor {
    /// Name of the input or output.
    pub name: String,
    /// Its element type.
    pub datatype: Datatype,
    /// Size of each axis.
    pub shape: Vec<usize>,
    /// The elements, a flat array in row-major order; `null` is not a number or infinite.
    pub data: Box<RawValue>,
}

impl WireTensor {
    /// The elements as numbers; `null` becomes NaN, `true` one.
    ///
    /// # Errors
    /// Where the data is no flat array of as many numbers as the shape says.
    pub fn values(&self) -> Result<Vec<f64>, String> {
        let elements: Vec<Element> = serde_json::from_str(self.data.get())
            .map_err(|error| format!("the data of {:?} is no flat array of numbers: {error}", self.name))?;
        let count = self.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        if count != Some(elements.len()) {
            return Err(format!(
                "{:?} has {} elements and shape {:?}",
                self.name,
                elements.len(),
                self.shape
            ));
        }
        Ok(elements.into_iter().map(Element::number).collect())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Number(f64),
    Truth(bool),
    Null(()),
}

impl Element {
    fn number(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Truth(truth) => f64::from(u8::from(truth)),
            Self::Null(()) => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], data: &str) -> WireTensor {
        let data = RawValue::from_string(data.to_owned()).unwrap();
        WireTensor { name: "y".to_owned(), datatype: Datatype::Fp32, shape: shape.to_vec(), data }
    }

    #[test]
    fn datatypes_have_the_protocols_names() {
        for (datatype, name) in
            [(Datatype::Fp32, "FP32"), (Datatype::Uint8, "UINT8"), (Datatype::Bool, "BOOL")]
        {
            assert_eq!(datatype.to_string(), name);
            assert_eq!(serde_json::to_string(&datatype).unwrap(), format!("{name:?}"));
        }
    }

    #[test]
    fn null_is_not_a_number() {
        let values = tensor(&[1, 3], "[0.5, null, 2]").values().unwrap();
        assert!(values[1].is_nan());
        assert_eq!((values[0], values[2]), (0.5, 2.0));
    }

    #[test]
    fn data_that_is_not_what_the_shape_says_is_refused() {
        for (shape, data) in
            [(&[2][..], "[1]"), (&[1], "[[1]]"), (&[1], "[\"1\"]"), (&[usize::MAX, 2], "[]"), (&[1], "{}")]
        {
            assert!(tensor(shape, data).values().is_err(), "{data}");
        }
    }

    #[test]
    fn shapes_fit_where_an_axis_varies() {
        let spec = |shape: &[i64]| TensorSpec {
            name: "x".to_owned(),
            datatype: Datatype::Fp32,
            shape: shape.to_vec(),
        };
        assert!(spec(&[-1, 64]).accepts(&[1, 64]));
        assert!(!spec(&[-1, 64]).accepts(&[1, 65]));
        assert!(!spec(&[-1, 64]).accepts(&[64]));
        assert!(spec(&[-1]).accepts(&[1, 2, 3]));
        assert!(!spec(&[0]).accepts(&[1]));
    }
}
