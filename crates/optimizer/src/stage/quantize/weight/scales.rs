//! The tensors that hold the scales of a weight.

use std::io::{self, Write};

use slipway_model::onnx::DataType;

use crate::file::Part;
use crate::graph::header;

/// One tensor of scales: a weight may need its scales in several shapes, or times a factor.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct ScaleTensor {
    pub(in super::super) name: String,
    pub(in super::super) dims: Vec<i64>,
    /// What every scale is multiplied with: the `alpha` of a `Gemm`.
    pub(in super::super) factor: f32,
}

impl ScaleTensor {
    pub(super) fn part(&self, count: usize) -> Part {
        Part { header: header(&self.name, &self.dims, DataType::FLOAT), length: count as u64 * 4 }
    }

    pub(super) fn write(&self, scales: &[f32], sink: &mut dyn Write) -> io::Result<()> {
        let bytes: Vec<u8> = scales.iter().flat_map(|scale| (scale * self.factor).to_le_bytes()).collect();
        sink.write_all(&bytes)
    }
}
