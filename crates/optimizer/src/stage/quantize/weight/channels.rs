//! A byte a value: one scale for the whole tensor, or one for each channel.

use std::io::Write;
use std::ops::Range;

use slipway_kernels::quantize::{
    Quality, Scheme, abs_max, abs_max_columns, dequantize, quantize, quantize_columns, symmetric_scale,
    transpose,
};
use slipway_model::onnx::DataType;

use super::super::Granularity;
use super::bias;
use super::corrected::CorrectedBias;
use super::expected::Expected;
use super::layout::Layout;
use super::{Loss, Outcome, Weight};
use crate::file::{MakeError, PIECE, Part, Reader};
use crate::graph::header;

/// Bytes of one panel of a transposed tensor.
const PANEL: usize = 4 << 20;

/// Symmetric integers of 8 bits, or of 7 kept in 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Channels {
    pub(in super::super) scheme: Scheme,
    pub(in super::super) granularity: Granularity,
}

impl Channels {
    pub(super) fn parts(self, weight: &Weight) -> Vec<Part> {
        let data = Part {
            header: header(&weight.stored, &weight.layout.result_dims(), self.data_type()),
            length: weight.layout.elements() as u64,
        };
        let count = self.scales(&weight.layout);
        let per_channel = self.granularity == Granularity::PerChannel;
        let biases =
            weight.biases.iter().flat_map(|bias| bias.parts(weight.layout.channels(), count, per_channel));
        let scales = weight.scales.iter().map(|scale| scale.part(count));
        let corrected = weight.corrected.iter().map(CorrectedBias::part);
        std::iter::once(data).chain(scales).chain(biases).chain(corrected).collect()
    }

    pub(super) fn make(
        self,
        weight: &Weight,
        mut reader: Reader,
        sinks: &mut [&mut dyn Write],
    ) -> Result<Outcome, MakeError> {
        let (data, rest) = sinks.split_first_mut().expect("one sink for each part");
        let maxima = maxima(&weight.layout, &mut reader)?;
        let mut scales = self.scales_of(&maxima);
        let lost = lost_channels(&maxima, &scales);
        let biases = bias::read(&weight.biases, weight.layout.channels())?;
        bias::raise(&weight.biases, &biases, &mut scales);
        let mut expected = Expected::of(weight);
        let quality = self.write(&weight.layout, &mut reader, &scales, *data, &mut expected)?;
        let (of_scales, of_biases) = rest.split_at_mut(weight.scales.len());
        for (tensor, sink) in weight.scales.iter().zip(of_scales) {
            tensor.write(&scales, *sink).map_err(MakeError::Write)?;
        }
        let (of_biases, of_corrected) = of_biases.split_at_mut(2 * weight.biases.len());
        let mut shifts = expected.shifts();
        for ((bias, values), sinks) in weight.biases.iter().zip(&biases).zip(of_biases.chunks_exact_mut(2)) {
            let shift = bias.means.as_ref().and_then(|_| shifts.next());
            bias.write(values, shift.as_deref(), &scales, sinks)?;
        }
        for ((bias, shift), sink) in weight.corrected.iter().zip(shifts).zip(of_corrected) {
            bias.write(&shift, *sink)?;
        }
        Ok(Outcome { quality, lost_channels: lost.count, loss: lost.are_most.then_some(Loss::Channels) })
    }

    fn data_type(self) -> DataType {
        if self.scheme.lowest < 0 { DataType::INT8 } else { DataType::UINT8 }
    }

    /// The element type and the bits used of it, for example `int8/7`.
    pub(super) fn name(self) -> String {
        let bits = if self.scheme.highest - self.scheme.lowest < 129 { 7 } else { 8 };
        format!("{}/{bits}", self.data_type())
    }

    /// Number of scales.
    pub(super) fn scales(self, layout: &Layout) -> usize {
        match self.granularity {
            Granularity::PerTensor => 1,
            Granularity::PerChannel => layout.channels(),
        }
    }

    /// The scales of a tensor whose channels have these maxima.
    fn scales_of(self, maxima: &[f32]) -> Vec<f32> {
        let scale = |maximum: f32| symmetric_scale(maximum, self.scheme);
        match self.granularity {
            Granularity::PerTensor => vec![scale(abs_max(maxima))],
            Granularity::PerChannel => maxima.iter().copied().map(scale).collect(),
        }
    }

    /// Writes the integers in the order of the result.
    fn write(
        self,
        layout: &Layout,
        reader: &mut Reader,
        scales: &[f32],
        sink: &mut dyn Write,
        expected: &mut Expected<'_>,
    ) -> Result<Quality, MakeError> {
        if layout.transposed {
            return self.panels(layout, reader, scales, sink, expected);
        }
        let mut quality = Quality::default();
        let (mut floats, mut bytes) = (buffer(layout, 0.0), buffer(layout, 0));
        for piece in pieces(layout) {
            let (floats, bytes) = (&mut floats[..piece.len()], &mut bytes[..piece.len()]);
            reader.read(piece.start, floats)?;
            quality.merge(self.piece(layout, piece.start, floats, scales, bytes));
            self.expect(layout, piece.start, floats, scales, bytes, expected);
            sink.write_all(bytes).map_err(MakeError::Write)?;
        }
        Ok(quality)
    }

    /// Quantizes values that lie side by side from index `start` on.
    fn piece(self, layout: &Layout, start: usize, floats: &[f32], scales: &[f32], out: &mut [u8]) -> Quality {
        if self.granularity == Granularity::PerTensor {
            return quantize(floats, scales[0], self.scheme, out);
        }
        let mut quality = Quality::default();
        for run in runs(layout, start, floats.len()) {
            let (floats, out) = (&floats[run.values.clone()], &mut out[run.values]);
            quality.merge(match run.channels {
                Channel::One(channel) => quantize(floats, scales[channel], self.scheme, out),
                Channel::Rows(channels) => quantize_columns(floats, &scales[channels], self.scheme, out),
            });
        }
        quality
    }

    /// Tells what is expected of values from index `start` on, and of the bytes that stand for them, where it is asked.
    fn expect(
        self,
        layout: &Layout,
        start: usize,
        floats: &[f32],
        scales: &[f32],
        bytes: &[u8],
        expected: &mut Expected<'_>,
    ) {
        if !expected.is_asked() {
            return;
        }
        let mut stored = vec![0.0; bytes.len()];
        dequantize(bytes, 1.0, self.scheme, &mut stored);
        for run in runs(layout, start, bytes.len()) {
            let stored = &mut stored[run.values];
            match (scales, run.channels) {
                ([scale], _) => scaled(stored, std::iter::repeat(scale)),
                (_, Channel::One(channel)) => scaled(stored, std::iter::repeat(&scales[channel])),
                (_, Channel::Rows(channels)) => scaled(stored, scales[channels].iter().cycle()),
            }
        }
        expected.add(start, floats, &stored);
    }

    /// The columns of the stored matrix are the rows of the written one: a panel of them at a time.
    fn panels(
        self,
        layout: &Layout,
        reader: &mut Reader,
        scales: &[f32],
        sink: &mut dyn Write,
        expected: &mut Expected<'_>,
    ) -> Result<Quality, MakeError> {
        let columns = Layout { axis: 1, ..layout.clone() }.width();
        let rows = layout.elements().checked_div(columns).unwrap_or(0);
        let width = (PANEL / rows.max(1)).clamp(1, PIECE).min(columns.max(1));
        let (mut floats, mut panel, mut turned) =
            (vec![0.0; width], vec![0; rows * width], vec![0; rows * width]);
        let mut quality = Quality::default();
        for column in (0..columns).step_by(width) {
            let width = width.min(columns - column);
            let size = rows * width;
            for (row, out) in panel[..size].chunks_exact_mut(width).enumerate() {
                let (start, floats) = (row * columns + column, &mut floats[..width]);
                reader.read(start, floats)?;
                quality.merge(self.piece(layout, start, floats, scales, out));
                self.expect(layout, start, floats, scales, out, expected);
            }
            transpose(&panel[..size], rows, width, &mut turned[..size]);
            sink.write_all(&turned[..size]).map_err(MakeError::Write)?;
        }
        Ok(quality)
    }
}

fn scaled<'s>(integers: &mut [f32], scales: impl Iterator<Item = &'s f32>) {
    integers.iter_mut().zip(scales).for_each(|(integer, scale)| *integer *= scale);
}

/// Channels that held something of which nothing useful is left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) count: u64,
    /// Whether those are most that held something. A few are what training leaves of units that it gave up.
    pub(super) are_most: bool,
}

impl Lost {
    pub(super) fn of(count: usize, alive: usize) -> Self {
        Self { count: count as u64, are_most: count * 2 > alive }
    }
}

/// Channels that one scale for all turns to zero.
fn lost_channels(maxima: &[f32], scales: &[f32]) -> Lost {
    let [scale] = scales else { return Lost::default() };
    let alive = maxima.iter().filter(|maximum| **maximum > 0.0);
    let zeroed = alive.clone().filter(|maximum| **maximum < scale / 2.0).count();
    Lost::of(zeroed, alive.count())
}

/// The largest magnitude of each channel.
fn maxima(layout: &Layout, reader: &mut Reader) -> Result<Vec<f32>, MakeError> {
    let mut maxima = vec![0.0_f32; layout.channels()];
    let mut floats = buffer(layout, 0.0);
    for piece in pieces(layout) {
        let floats = &mut floats[..piece.len()];
        reader.read(piece.start, floats)?;
        raise(layout, piece.start, floats, &mut maxima);
    }
    if maxima.iter().all(|maximum| maximum.is_finite()) { Ok(maxima) } else { Err(MakeError::NotFinite) }
}

fn buffer<T: Clone>(layout: &Layout, value: T) -> Vec<T> {
    vec![value; layout.elements().min(PIECE)]
}

/// Ranges of the elements: whole rows of channels where they are innermost and a piece holds one.
fn pieces(layout: &Layout) -> impl Iterator<Item = Range<usize>> + use<> {
    let elements = layout.elements();
    let row = if layout.inner() == 1 { layout.width() } else { 1 };
    let size = if row > 1 && row <= PIECE { PIECE / row * row } else { PIECE };
    (0..elements).step_by(size).map(move |start| start..elements.min(start + size))
}

/// Values that one call of a kernel can take.
pub(super) struct Run {
    pub(super) values: Range<usize>,
    pub(super) channels: Channel,
}

pub(super) enum Channel {
    /// All values belong to one channel.
    One(usize),
    /// Rows of these channels, one value each.
    Rows(Range<usize>),
}

/// Cuts `count` values from index `start` on by their channels.
pub(super) fn runs(layout: &Layout, start: usize, count: usize) -> impl Iterator<Item = Run> + use<> {
    let (matrix, width, inner) = (layout.matrix(), layout.width(), layout.inner());
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == count {
            return None;
        }
        let (batch, place) = ((start + done) / matrix, (start + done) % matrix);
        let left = (matrix - place).min(count - done);
        let (first, channel) = (batch * width, place / inner % width);
        let (size, channels) = if inner > 1 {
            ((inner - place % inner).min(left), Channel::One(first + channel))
        } else if channel == 0 && left >= width {
            (left / width * width, Channel::Rows(first..first + width))
        } else {
            let size = (width - channel).min(left);
            (size, Channel::Rows(first + channel..first + channel + size))
        };
        let run = Run { values: done..done + size, channels };
        done += size;
        Some(run)
    })
}

/// Raises the maximum of each channel by values from index `start` on.
fn raise(layout: &Layout, start: usize, floats: &[f32], maxima: &mut [f32]) {
    for run in runs(layout, start, floats.len()) {
        let floats = &floats[run.values];
        match run.channels {
            Channel::One(channel) => maxima[channel] = abs_max(&[maxima[channel], abs_max(floats)]),
            Channel::Rows(channels) => abs_max_columns(floats, &mut maxima[channels]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_lost_when_most_of_them_are() {
        assert_eq!(lost_channels(&[64.0, 0.1, 0.1, 0.0], &[1.0]), Lost { count: 2, are_most: true });
        assert_eq!(lost_channels(&[64.0, 32.0, 0.1, 0.0, 0.0], &[1.0]), Lost { count: 1, are_most: false });
        assert_eq!(lost_channels(&[64.0, 0.1, 0.1], &[1.0, 0.002, 0.002]), Lost::default());
    }

    /// The channel of each value, by runs and by definition.
    fn channels_of(layout: &Layout, start: usize, count: usize) -> (Vec<usize>, Vec<usize>) {
        let mut found = vec![usize::MAX; count];
        for run in runs(layout, start, count) {
            for (index, place) in run.values.enumerate() {
                found[place] = match &run.channels {
                    Channel::One(channel) => *channel,
                    Channel::Rows(channels) => channels.start + index % channels.len(),
                };
            }
        }
        let wanted = (start..start + count).map(|place| {
            let (matrix, rest) = (place / layout.matrix(), place % layout.matrix());
            matrix * layout.width() + rest / layout.inner() % layout.width()
        });
        (found, wanted.collect())
    }

    #[test]
    fn every_value_belongs_to_its_channel() {
        for dims in [[2, 3, 4], [1, 7, 1], [5, 1, 1], [3, 2, 1]] {
            for (batch, axis) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)] {
                let layout = Layout { dims: dims.to_vec(), batch, axis, transposed: false };
                for start in 0..layout.elements() {
                    for count in 0..=layout.elements() - start {
                        let (found, wanted) = channels_of(&layout, start, count);
                        assert_eq!(found, wanted, "{dims:?} by {axis} from {start}");
                    }
                }
            }
        }
    }

    #[test]
    fn pieces_cover_everything_once() {
        for columns in [1, 3, 70_001, 65_536] {
            let layout = Layout { dims: vec![5, columns], batch: 0, axis: 1, transposed: false };
            let mut next = 0;
            for piece in pieces(&layout) {
                assert_eq!(piece.start, next);
                assert!(piece.len() <= PIECE && !piece.is_empty());
                next = piece.end;
            }
            assert_eq!(next, layout.elements());
        }
    }
}
