//! What a model takes or gives, as its server's metadata says.

use serde::Deserialize;
use slipway_server::DataType;

/// An input or output of a model, from its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Described")]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: DataType,
    /// Size of each axis, -1 where it varies; a lone -1 also where the model does not say how many axes there are.
    pub shape: Vec<i64>,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

impl TryFrom<Described> for TensorSpec {
    type Error = String;

    fn try_from(Described { name, datatype, shape }: Described) -> Result<Self, String> {
        let known = DataType::named(&datatype);
        let datatype =
            known.ok_or_else(|| format!("{name:?} is {datatype}, which is no type of the protocol"))?;
        Ok(Self { name, datatype, shape })
    }
}

impl From<&slipway_server::TensorSpec> for TensorSpec {
    fn from(spec: &slipway_server::TensorSpec) -> Self {
        Self { name: spec.name.clone(), datatype: spec.datatype, shape: spec.protocol_shape() }
    }
}

impl TensorSpec {
    /// Whether a shape fits, with the batch axis in front.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        let fits = |(want, got): (&i64, &usize)| *want < 0 || u64::try_from(*want) == u64::try_from(*got);
        self.shape == [-1] || (self.shape.len() == shape.len() && self.shape.iter().zip(shape).all(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_fit_where_an_axis_varies() {
        let spec = |shape: &[i64]| TensorSpec {
            name: "x".to_owned(),
            datatype: DataType::Fp32,
            shape: shape.to_vec(),
        };
        assert!(spec(&[-1, 64]).accepts(&[1, 64]));
        assert!(!spec(&[-1, 64]).accepts(&[1, 65]));
        assert!(!spec(&[-1, 64]).accepts(&[64]));
        assert!(spec(&[-1]).accepts(&[1, 2, 3]));
        assert!(!spec(&[0]).accepts(&[1]));
    }

    #[test]
    fn types_have_the_protocols_names() {
        let read = |datatype: &str| {
            let text = format!(r#"{{ "name": "x", "datatype": "{datatype}", "shape": [-1] }}"#);
            serde_json::from_str::<TensorSpec>(&text)
        };
        assert_eq!(read("UINT8").unwrap().datatype, DataType::UInt8);
        assert!(read("FP33").unwrap_err().to_string().contains("\"x\" is FP33"));
    }
}
