//! One weight, streamed: its scales, then its integers.
//!
//! The float tensor is read twice in pieces that fit the second-level cache, once for the range
//! and once for the values, so memory depends neither on the tensor nor on the model.

use std::io::{self, Write};

use slipway_kernels::quantize::{
    Quality, Scheme, abs_max, abs_max_columns, quantize, quantize_columns, symmetric_scale, transpose,
};
use slipway_model::onnx::PayloadFile;

use super::Granularity;

/// Values of one piece: 256 KiB of floats.
const PIECE: usize = 64 << 10;

/// Bytes of one panel of a transposed tensor.
const PANEL: usize = 4 << 20;

/// What can go wrong on the way.
#[derive(Debug)]
pub(super) enum StreamError {
    NotFinite,
    Read(io::Error),
    Write(io::Error),
}

/// How a tensor lies in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    rows: usize,
    columns: usize,
    transposed: bool,
    granularity: Granularity,
}

impl Layout {
    /// `dims` are those of the stored tensor, checked when the model was opened.
    pub(super) fn of(dims: &[i64], transposed: bool, granularity: Granularity) -> Self {
        let size = |dim: i64| usize::try_from(dim).expect("a dimension was checked on opening");
        let (last, outer) = dims.split_last().map_or((1, &[][..]), |(last, outer)| (*last, outer));
        let rows = outer.iter().map(|dim| size(*dim)).product();
        Self { rows, columns: size(last), transposed, granularity }
    }

    /// Number of elements.
    pub(super) fn elements(self) -> usize {
        self.rows * self.columns
    }

    /// How many values share a scale.
    pub(super) fn granularity(self) -> Granularity {
        self.granularity
    }

    /// Number of scales.
    pub(super) fn channels(self) -> usize {
        match (self.granularity, self.transposed) {
            (Granularity::PerTensor, _) => 1,
            (Granularity::PerChannel, true) => self.rows,
            (Granularity::PerChannel, false) => self.columns,
        }
    }

    /// Pieces of whole rows, or parts of one row where a row is longer than a piece.
    fn pieces(self) -> impl Iterator<Item = Piece> {
        let columns = self.columns.max(1);
        let rows = (PIECE / columns).max(1);
        let width = columns.min(PIECE);
        (0..self.rows).step_by(rows).flat_map(move |row| {
            let rows = rows.min(self.rows - row);
            (0..self.columns).step_by(width).map(move |column| Piece {
                row,
                rows,
                column,
                columns: width.min(self.columns - column),
            })
        })
    }
}

/// A rectangle of a tensor that lies in one run of bytes.
#[derive(Debug, Clone, Copy)]
struct Piece {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
}

/// A weight being read.
pub(super) struct Stream<'a> {
    file: &'a PayloadFile,
    layout: Layout,
    scheme: Scheme,
    floats: Vec<f32>,
    bytes: Vec<u8>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(file: &'a PayloadFile, layout: Layout, scheme: Scheme) -> Self {
        let size = layout.elements().min(PIECE);
        Self { file, layout, scheme, floats: vec![0.0; size], bytes: vec![0; size] }
    }

    /// The scales of all channels.
    pub(super) fn scales(&mut self) -> Result<Vec<f32>, StreamError> {
        let mut maxima = vec![0.0_f32; self.layout.channels()];
        for piece in self.layout.pieces() {
            let size = piece.rows * piece.columns;
            read(self.file, self.layout, piece, &mut self.floats[..size])?;
            self.scan(piece, &mut maxima);
        }
        if maxima.iter().any(|maximum| !maximum.is_finite()) {
            return Err(StreamError::NotFinite);
        }
        Ok(maxima.into_iter().map(|maximum| symmetric_scale(maximum, self.scheme)).collect())
    }

    fn scan(&self, piece: Piece, maxima: &mut [f32]) {
        let values = &self.floats[..piece.rows * piece.columns];
        match (self.layout.granularity, self.layout.transposed) {
            (Granularity::PerTensor, _) => maxima[0] = abs_max(&[maxima[0], abs_max(values)]),
            (Granularity::PerChannel, false) => {
                abs_max_columns(values, &mut maxima[piece.column..piece.column + piece.columns]);
            }
            (Granularity::PerChannel, true) => {
                for (row, maximum) in values.chunks_exact(piece.columns).zip(&mut maxima[piece.row..]) {
                    *maximum = abs_max(&[*maximum, abs_max(row)]);
                }
            }
        }
    }

    /// Writes the integers in the order that the multiplication needs.
    pub(super) fn quantize(&mut self, scales: &[f32], sink: &mut dyn Write) -> Result<Quality, StreamError> {
        if self.layout.transposed { self.panels(scales, sink) } else { self.straight(scales, sink) }
    }

    fn straight(&mut self, scales: &[f32], sink: &mut dyn Write) -> Result<Quality, StreamError> {
        let mut quality = Quality::default();
        for piece in self.layout.pieces() {
            let size = piece.rows * piece.columns;
            let (floats, bytes) = (&mut self.floats[..size], &mut self.bytes[..size]);
            read(self.file, self.layout, piece, floats)?;
            quality.merge(match self.layout.granularity {
                Granularity::PerTensor => quantize(floats, scales[0], self.scheme, bytes),
                Granularity::PerChannel => {
                    let scales = &scales[piece.column..piece.column + piece.columns];
                    quantize_columns(floats, scales, self.scheme, bytes)
                }
            });
            sink.write_all(bytes).map_err(StreamError::Write)?;
        }
        Ok(quality)
    }

    /// The columns of the stored tensor are the rows of the written one: a panel of them at a time.
    fn panels(&mut self, scales: &[f32], sink: &mut dyn Write) -> Result<Quality, StreamError> {
        let Layout { rows, columns, .. } = self.layout;
        let width = (PANEL / rows.max(1)).clamp(1, PIECE).min(columns.max(1));
        let mut panel = vec![0; rows * width];
        let mut turned = vec![0; rows * width];
        let mut quality = Quality::default();
        for column in (0..columns).step_by(width) {
            let width = width.min(columns - column);
            let size = rows * width;
            for (row, out) in panel[..size].chunks_exact_mut(width).enumerate() {
                let piece = Piece { row, rows: 1, column, columns: width };
                let floats = &mut self.floats[..width];
                read(self.file, self.layout, piece, floats)?;
                let scale = if scales.len() == 1 { scales[0] } else { scales[row] };
                quality.merge(quantize(floats, scale, self.scheme, out));
            }
            transpose(&panel[..size], rows, width, &mut turned[..size]);
            sink.write_all(&turned[..size]).map_err(StreamError::Write)?;
        }
        Ok(quality)
    }
}

fn read(file: &PayloadFile, layout: Layout, piece: Piece, floats: &mut [f32]) -> Result<(), StreamError> {
    let position = (piece.row * layout.columns + piece.column) as u64 * 4;
    file.read_at(bytemuck::cast_slice_mut(floats), position).map_err(StreamError::Read)?;
    if cfg!(target_endian = "big") {
        for value in floats {
            *value = f32::from_bits(value.to_bits().swap_bytes());
        }
    }
    Ok(())
}
