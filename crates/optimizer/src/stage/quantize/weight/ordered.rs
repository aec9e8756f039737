//! A byte a value in the order of the weight, with a scale for each block of a channel.

use std::io::Write;

use slipway_kernels::quantize::{
    BlockShape, NarrowBits, Quality, Scheme, dequantize, dequantize_block_rows, quantize_block_columns,
    quantize_block_rows, transpose,
};
use slipway_model::onnx::DataType;

use super::super::cut::Cut;
use super::super::options::Fit;
use super::blocks::{Columns, fit, not_finite};
use super::corrected::CorrectedBias;
use super::expected::Expected;
use super::layout::Layout;
use super::{Outcome, Weight};
use crate::file::{MakeError, PIECE, Part, Reader};
use crate::graph::header;

/// Signed integers, `[…, blocks, size, …]`, and their scales, `[…, blocks, 1, …]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Ordered {
    pub(in super::super) cut: Cut,
    pub(in super::super) fit: Fit,
}

impl Ordered {
    /// The element type and the block, for example `int8×64`.
    pub(super) fn name(self) -> String {
        format!("int8×{}", self.cut.size())
    }

    /// Number of scales.
    pub(super) fn scales(self, layout: &Layout) -> usize {
        layout.elements() / self.cut.size()
    }

    pub(super) fn parts(self, weight: &Weight) -> Vec<Part> {
        let layout = &weight.layout;
        let header = header(&weight.stored, &self.cut.dims(&layout.dims), DataType::INT8);
        let data = Part { header, length: layout.elements() as u64 };
        let scales = weight.scales.iter().map(|scale| scale.part(self.scales(layout)));
        let corrected = weight.corrected.iter().map(CorrectedBias::part);
        std::iter::once(data).chain(scales).chain(corrected).collect()
    }

    pub(super) fn make(
        self,
        weight: &Weight,
        reader: Reader,
        sinks: &mut [&mut dyn Write],
    ) -> Result<Outcome, MakeError> {
        let (sinks, of_corrected) = sinks.split_at_mut(sinks.len() - weight.corrected.len());
        let mut work = Work { ordered: self, reader, sinks, expected: Expected::of(weight) };
        let quality =
            if weight.layout.inner() == 1 { work.bands(&weight.layout) } else { work.rows(&weight.layout) }?;
        for ((bias, shift), sink) in weight.corrected.iter().zip(work.expected.shifts()).zip(of_corrected) {
            bias.write(&shift, *sink)?;
        }
        Ok(Outcome { quality, lost_channels: 0, loss: None })
    }

    /// The form of channels of `depth` values.
    fn shape(self, depth: usize) -> BlockShape {
        BlockShape::new(NarrowBits::Eight, self.cut.size(), false, depth).expect("sizes are even")
    }
}

struct Work<'a, 'b> {
    ordered: Ordered,
    reader: Reader,
    sinks: &'a mut [&'b mut dyn Write],
    expected: Expected<'a>,
}

impl Work<'_, '_> {
    /// Channels whose values lie side by side: a few of them at a time.
    fn rows(&mut self, layout: &Layout) -> Result<Quality, MakeError> {
        let (depth, channels) = (layout.inner(), layout.channels());
        let (shape, count) = (self.ordered.shape(depth), (PIECE / depth).clamp(1, channels.max(1)));
        let mut values = vec![0.0; count * depth];
        let mut quality = Quality::default();
        for start in (0..channels).step_by(count) {
            let count = count.min(channels - start);
            let values = &mut values[..count * depth];
            self.reader.read(start * depth, values)?;
            let mut rows = Columns::new(shape, count);
            let made = quantize_block_rows(values, shape, fit(self.ordered.fit), rows.out());
            quality.merge(made.map_err(not_finite)?);
            if self.expected.is_asked() {
                let mut stored = vec![0.0; values.len()];
                dequantize_block_rows(&rows.integers, &rows.scales, &rows.zero_points, shape, &mut stored);
                self.expected.add(start * depth, values, &stored);
            }
            self.write(&mut rows.integers, &rows.scales)?;
        }
        Ok(quality)
    }

    /// Channels that lie across rows: one row of blocks after the other, over all matrices.
    fn bands(&mut self, layout: &Layout) -> Result<Quality, MakeError> {
        let (size, width) = (self.ordered.cut.size(), layout.width());
        let (mut integers, mut scales) = (vec![0; size * width], vec![0.0; width]);
        let mut quality = Quality::default();
        for first in (0..layout.elements()).step_by((size * width).max(1)) {
            quality.merge(self.band(first, width, &mut integers, &mut scales)?);
            self.write(&mut integers, &scales)?;
        }
        Ok(quality)
    }

    /// One row of blocks, from index `first` on: so many of its columns at a time as a piece holds.
    fn band(
        &mut self,
        first: usize,
        width: usize,
        integers: &mut [u8],
        scales: &mut [f32],
    ) -> Result<Quality, MakeError> {
        let size = self.ordered.cut.size();
        let shape = self.ordered.shape(size);
        let most = (PIECE / size).clamp(1, width);
        let (mut values, mut turned) = (vec![0.0; size * most], vec![0; size * most]);
        let mut quality = Quality::default();
        for start in (0..width).step_by(most) {
            let count = most.min(width - start);
            let (values, turned) = (&mut values[..size * count], &mut turned[..size * count]);
            for (row, values) in values.chunks_exact_mut(count).enumerate() {
                self.reader.read(first + row * width + start, values)?;
            }
            let mut columns = Columns::new(shape, count);
            let made = quantize_block_columns(values, count, 0, shape, fit(self.ordered.fit), columns.out());
            quality.merge(made.map_err(not_finite)?);
            transpose(&columns.integers, count, size, turned);
            for (row, (turned, values)) in
                turned.chunks_exact(count).zip(values.chunks_exact(count)).enumerate()
            {
                integers[row * width + start..][..count].copy_from_slice(turned);
                self.expect(first + row * width + start, values, turned, &columns.scales);
            }
            scales[start..start + count].copy_from_slice(&columns.scales);
        }
        Ok(quality)
    }

    /// Tells what is expected of a row from index `start` on, one value a channel, where it is asked.
    fn expect(&mut self, start: usize, values: &[f32], integers: &[u8], scales: &[f32]) {
        if !self.expected.is_asked() {
            return;
        }
        let mut stored = vec![0.0; integers.len()];
        dequantize(integers, 1.0, Scheme::UINT8, &mut stored);
        stored.iter_mut().zip(scales).for_each(|(integer, scale)| *integer *= scale);
        self.expected.add(start, values, &stored);
    }

    /// Writes integers around 128 as signed ones, and their scales.
    fn write(&mut self, integers: &mut [u8], scales: &[f32]) -> Result<(), MakeError> {
        for byte in integers.iter_mut() {
            *byte ^= NarrowBits::Eight.middle();
        }
        let scales: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        for (sink, bytes) in self.sinks.iter_mut().zip([&*integers, &scales]) {
            sink.write_all(bytes).map_err(MakeError::Write)?;
        }
        Ok(())
    }
}
