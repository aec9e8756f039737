//! Four bits a value, in the layout that `com.microsoft.MatMulNBits` reads.

use std::borrow::Cow;
use std::io::Write;

use slipway_kernels::quantize::{
    BlockFit, BlockShape, Blocked, NarrowBits, Quality, UnfitBlock, dequantize_block_rows,
    quantize_block_columns, quantize_block_rows,
};
use slipway_model::onnx::DataType;

use super::super::options::Fit;
use super::corrected::CorrectedBias;
use super::expected::Expected;
use super::layout::Layout;
use super::{Outcome, Weight};
use crate::file::{MakeError, PIECE, Part, Reader};
use crate::graph::header;

/// Bytes of integers that are complete at a time, where columns are spread over the tensor.
const PANEL: usize = 8 << 20;

/// Values read at a time there, so that a column's integers are written in runs.
const BAND: usize = 2 << 20;

/// Blocks of one column of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Blocks {
    /// Weights of a block.
    pub(in super::super) size: usize,
    pub(in super::super) zero_points: bool,
    pub(in super::super) fit: Fit,
}

impl Blocks {
    pub(super) fn name(self) -> String {
        format!("uint4×{}", self.size)
    }

    /// Number of scales.
    pub(super) fn scales(self, layout: &Layout) -> usize {
        self.shape(layout).blocks() * layout.width()
    }

    pub(super) fn shape(self, layout: &Layout) -> BlockShape {
        let depth = layout.matrix() / layout.width().max(1);
        BlockShape::new(NarrowBits::Four, self.size, self.zero_points, depth).expect("sizes are even")
    }

    pub(super) fn parts(self, weight: &Weight) -> Vec<Part> {
        let (shape, columns) = (self.shape(&weight.layout), weight.layout.width());
        let dims = [columns, shape.blocks(), shape.block_bytes()];
        let tensor = |name: &str, dims: &[usize]| {
            let dims: Vec<i64> = dims.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect();
            header(name, &dims, DataType::UINT8)
        };
        let data =
            Part { header: tensor(&weight.stored, &dims), length: (columns * shape.column_bytes()) as u64 };
        let mut parts = vec![data];
        parts.extend(weight.scales.iter().map(|scale| scale.part(columns * shape.blocks())));
        parts.extend(weight.zero_points.iter().map(|name| {
            let length = columns * shape.zero_point_bytes();
            Part { header: tensor(name, &[length]), length: length as u64 }
        }));
        parts.extend(weight.corrected.iter().map(CorrectedBias::part));
        parts
    }

    pub(super) fn make(
        self,
        weight: &Weight,
        reader: Reader,
        sinks: &mut [&mut dyn Write],
    ) -> Result<Outcome, MakeError> {
        let layout = &weight.layout;
        if let Some(fitted) = &weight.fitted {
            return fitted.copy(&self.parts(weight), sinks);
        }
        let (sinks, of_corrected) = sinks.split_at_mut(sinks.len() - weight.corrected.len());
        let expected = Expected::of(weight);
        let mut work = Work { shape: self.shape(layout), fit: fit(self.fit), reader, sinks, expected };
        let columns = layout.width();
        let quality = if layout.inner() == 1 { work.columns(columns) } else { work.rows(columns) }?;
        for ((bias, shift), sink) in weight.corrected.iter().zip(work.expected.shifts()).zip(of_corrected) {
            bias.write(&shift, *sink)?;
        }
        Ok(Outcome { quality, lost_channels: 0, loss: None })
    }
}

/// The fit as the arithmetic knows it.
pub(super) fn fit(fit: Fit) -> BlockFit {
    match fit {
        Fit::Nearest => BlockFit::Nearest,
        Fit::LeastSquares | Fit::Gptq => BlockFit::LeastSquares,
        Fit::HalfQuadratic => BlockFit::HalfQuadratic,
    }
}

/// Whole columns that are ready to be written.
pub(super) struct Columns {
    pub(super) integers: Vec<u8>,
    pub(super) scales: Vec<f32>,
    pub(super) zero_points: Vec<u8>,
}

impl Columns {
    pub(super) fn new(shape: BlockShape, count: usize) -> Self {
        Self {
            integers: vec![0; count * shape.column_bytes()],
            scales: vec![0.0; count * shape.blocks()],
            zero_points: vec![0; count * shape.zero_point_bytes()],
        }
    }

    pub(super) fn out(&mut self) -> Blocked<'_> {
        Blocked { integers: &mut self.integers, scales: &mut self.scales, zero_points: &mut self.zero_points }
    }

    /// The bytes of each tensor: integers, scales, zero points.
    pub(super) fn parts(&self) -> [Cow<'_, [u8]>; 3] {
        let scales: Vec<u8> = self.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        [Cow::from(&self.integers), Cow::from(scales), Cow::from(&self.zero_points)]
    }
}

struct Work<'a, 'b> {
    shape: BlockShape,
    fit: BlockFit,
    reader: Reader,
    sinks: &'a mut [&'b mut dyn Write],
    expected: Expected<'a>,
}

impl Work<'_, '_> {
    /// A stored `[K, N]`: a panel of columns at a time, one band of whole blocks after the other.
    fn columns(&mut self, columns: usize) -> Result<Quality, MakeError> {
        let shape = self.shape;
        let width = (PANEL / shape.column_bytes().max(1)).clamp(1, columns.max(1));
        let blocks = (BAND / (shape.size() * width)).clamp(1, shape.blocks().max(1));
        let mut band = vec![0.0; blocks * shape.size() * width];
        let mut quality = Quality::default();
        for start in (0..columns).step_by(width) {
            let width = width.min(columns - start);
            let mut panel = Columns::new(shape, width);
            for block in (0..shape.blocks()).step_by(blocks) {
                let first = block * shape.size();
                let rows = (blocks * shape.size()).min(shape.rows() - first);
                let band = &mut band[..rows * width];
                self.read_band(first, columns, start, width, band)?;
                for (row, values) in band.chunks_exact(width).enumerate() {
                    self.expected.add_floats((first + row) * columns + start, values);
                }
                let made = quantize_block_columns(band, width, block, shape, self.fit, panel.out());
                quality.merge(made.map_err(not_finite)?);
            }
            self.expect(start, &panel);
            self.write(&panel)?;
        }
        Ok(quality)
    }

    /// Rows from `first` on, of the columns from `start` on.
    fn read_band(
        &mut self,
        first: usize,
        columns: usize,
        start: usize,
        width: usize,
        band: &mut [f32],
    ) -> Result<(), MakeError> {
        if width == columns {
            return self.reader.read(first * columns, band);
        }
        for (row, values) in band.chunks_exact_mut(width).enumerate() {
            self.reader.read((first + row) * columns + start, values)?;
        }
        Ok(())
    }

    /// A stored `[N, K]`: a few of its rows at a time, each a column.
    fn rows(&mut self, columns: usize) -> Result<Quality, MakeError> {
        let (shape, depth) = (self.shape, self.shape.rows());
        let count = (PIECE / depth.max(1)).clamp(1, columns.max(1));
        let mut values = vec![0.0; count * depth];
        let mut quality = Quality::default();
        for start in (0..columns).step_by(count) {
            let count = count.min(columns - start);
            let mut piece = Columns::new(shape, count);
            let values = &mut values[..count * depth];
            self.reader.read(start * depth, values)?;
            quality.merge(quantize_block_rows(values, shape, self.fit, piece.out()).map_err(not_finite)?);
            self.expected.add_floats(start * depth, values);
            self.expect(start, &piece);
            self.write(&piece)?;
        }
        Ok(quality)
    }

    /// Tells what is expected of whole columns from `first` on, where it is asked.
    fn expect(&mut self, first: usize, columns: &Columns) {
        if !self.expected.is_asked() {
            return;
        }
        let shape = self.shape;
        let mut values = vec![0.0; shape.rows()];
        for (index, integers) in columns.integers.chunks_exact(shape.column_bytes()).enumerate() {
            let scales = &columns.scales[index * shape.blocks()..][..shape.blocks()];
            let zero_points =
                &columns.zero_points[index * shape.zero_point_bytes()..][..shape.zero_point_bytes()];
            dequantize_block_rows(integers, scales, zero_points, shape, &mut values);
            self.expected.add_stored_channel(first + index, &values);
        }
    }

    fn write(&mut self, columns: &Columns) -> Result<(), MakeError> {
        for (sink, bytes) in self.sinks.iter_mut().zip(columns.parts()) {
            sink.write_all(&bytes).map_err(MakeError::Write)?;
        }
        Ok(())
    }
}

pub(super) fn not_finite(_: UnfitBlock) -> MakeError {
    MakeError::NotFinite
}
