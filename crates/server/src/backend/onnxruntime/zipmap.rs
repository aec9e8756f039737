//! The outputs of scikit-learn's classifiers: `ZipMap` gives a map from class to probability for each row, which no
//! protocol for tensors can carry. They are served as one `FP32` tensor with a column for each class, in the order of
//! the classifier's own classes.

use std::collections::HashMap;
use std::hash::Hash;

use ort::value::{DynMap, DynMapValueType, DynValue, IntoTensorElementType};
use slipway_model::onnx::attribute::attribute;
use slipway_model::onnx::proto::NodeProto;
use slipway_model::onnx::{OnnxModel, ValueFacts};

use super::{RunError, values};
use crate::backend::TensorSpec;
use crate::tensor::{DataType, Tensor, TensorData};

/// The column of each class.
pub(super) enum Columns {
    Numbers(HashMap<i64, usize>),
    Texts(HashMap<String, usize>),
}

impl Columns {
    /// The columns of an output, where a `ZipMap` makes it.
    pub(super) fn of(model: &OnnxModel, output: &str) -> Option<Self> {
        let makes_it = |node: &&NodeProto| {
            node.op_type() == "ZipMap"
                && node.domain() == "ai.onnx.ml"
                && node.output.iter().any(|o| o == output)
        };
        let node = model.graph().node.iter().find(makes_it)?;
        let texts = attribute(node, "classlabels_strings").map(|attribute| {
            let text = |label: &bytes::Bytes| String::from_utf8_lossy(label).into_owned();
            Self::Texts(attribute.strings.iter().map(text).zip(0..).collect())
        });
        texts.or_else(|| {
            let attribute = attribute(node, "classlabels_int64s")?;
            Some(Self::Numbers(attribute.ints.iter().copied().zip(0..).collect()))
        })
    }

    fn count(&self) -> usize {
        match self {
            Self::Numbers(columns) => columns.len(),
            Self::Texts(columns) => columns.len(),
        }
    }

    /// What the output is served as.
    pub(super) fn spec(&self, output: &ValueFacts) -> TensorSpec {
        let shape = Some(vec![None, Some(self.count())]);
        TensorSpec { name: output.name.clone(), datatype: DataType::Fp32, shape }
    }

    /// One row for each map.
    pub(super) fn tensor(&self, spec: &TensorSpec, value: &DynValue) -> Result<Tensor, RunError> {
        let maps =
            value.try_extract_sequence::<DynMapValueType>().map_err(|error| values::broken(spec, error))?;
        let mut rows = vec![0.0; maps.len() * self.count()];
        for (map, row) in maps.iter().zip(rows.chunks_exact_mut(self.count().max(1))) {
            match self {
                Self::Numbers(columns) => fill(spec, map, columns, row)?,
                Self::Texts(columns) => fill(spec, map, columns, row)?,
            }
        }
        Tensor::new(vec![maps.len(), self.count()], TensorData::Fp32(rows))
            .ok_or_else(|| values::broken(spec, "its rows are too many"))
    }
}

fn fill<K: IntoTensorElementType + Clone + Hash + Eq>(
    spec: &TensorSpec,
    map: &DynMap,
    columns: &HashMap<K, usize>,
    row: &mut [f32],
) -> Result<(), RunError> {
    for (class, probability) in
        map.try_extract_key_values::<K, f32>().map_err(|error| values::broken(spec, error))?
    {
        let cell = columns.get(&class).and_then(|&column| row.get_mut(column));
        *cell.ok_or_else(|| values::broken(spec, "it has a class that the model does not declare"))? =
            probability;
    }
    Ok(())
}
