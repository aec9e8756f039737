//! By how much each channel of an activation is divided.

use slipway_kernels::quantize::{abs_max, smooth_scales};
use slipway_model::onnx::proto::GraphProto;
use slipway_model::onnx::{DataType, OnnxModel};

use super::products::{Matrix, Product};
use crate::file::{FileError, MakeError, PIECE, Reader};

/// The largest magnitude of each channel of an activation, so far.
#[derive(Debug)]
pub(super) struct Range {
    largest: Vec<f32>,
    problem: Option<String>,
}

impl Range {
    pub(super) fn new(channels: usize) -> Self {
        Self { largest: vec![0.0; channels], problem: None }
    }

    /// Takes in an activation whose last axis counts channels.
    pub(super) fn widen(&mut self, shape: &[usize], values: &[f32]) {
        let channels = self.largest.len();
        if shape.last() != Some(&channels) {
            self.problem =
                Some(format!("its input has the shape {shape:?}, which does not end in {channels}"));
        } else if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            self.problem = Some(format!("its input is {value} on a sample"));
        } else {
            for row in values.chunks_exact(channels.max(1)) {
                let pairs = self.largest.iter_mut().zip(row);
                pairs.for_each(|(largest, value)| *largest = largest.max(value.abs()));
            }
        }
    }
}

/// The factors of a product's channels, or why there are none.
pub(super) fn factors(
    model: &OnnxModel,
    graph: &GraphProto,
    product: &Product,
    range: Range,
    alpha: f64,
) -> Result<Result<Vec<f32>, String>, FileError> {
    let Range { largest: activations, problem } = range;
    if let Some(problem) = problem {
        return Ok(Err(problem));
    }
    let mut weights = vec![0.0; product.depth];
    for matrix in &product.weights {
        let tensor = &graph.initializer[matrix.tensor];
        let failed = |error: MakeError| error.of_tensor(tensor.name(), model.folder());
        let reader = Reader::open(&model.payload(tensor)?, DataType::FLOAT).map_err(failed)?;
        largest(reader, *matrix, &tensor.dims, &mut weights).map_err(failed)?;
    }
    let mut factors = vec![1.0; product.depth];
    Ok(match smooth_scales(&activations, &weights, alpha, &mut factors) {
        Ok(()) if factors.iter().all(|factor| factor.to_bits() == 1.0_f32.to_bits()) => {
            Err("there is nothing to move: every channel keeps its factor of 1".to_owned())
        }
        Ok(()) => Ok(factors),
        Err(bad) => Err(bad.to_string()),
    })
}

/// Widens the largest magnitude of each channel of a matrix.
fn largest(mut reader: Reader, matrix: Matrix, dims: &[i64], weights: &mut [f32]) -> Result<(), MakeError> {
    let [rows, columns] = [0, 1].map(|axis| usize::try_from(dims[axis]).unwrap_or_default());
    let count = (PIECE / columns.max(1)).clamp(1, rows.max(1));
    let mut piece = vec![0.0; count * columns];
    for start in (0..rows).step_by(count) {
        let values = &mut piece[..count.min(rows - start) * columns];
        reader.read(start * columns, values)?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(MakeError::NotFinite);
        }
        for (row, values) in values.chunks_exact(columns.max(1)).enumerate() {
            if matrix.turned {
                weights.iter_mut().zip(values).for_each(|(most, value)| *most = most.max(value.abs()));
            } else {
                weights[start + row] = weights[start + row].max(abs_max(values));
            }
        }
    }
    Ok(())
}
