//! Reading a weight in panels of whole columns.

use slipway_kernels::quantize::BlockShape;

use super::Weight;
use crate::file::{MakeError, Reader};

/// Floats of a panel: 8 MiB.
const PANEL: usize = 2 << 20;

/// Reads a weight as `[K, columns]`, some columns at a time.
pub(super) struct Panels {
    reader: Reader,
    rows: usize,
    columns: usize,
    width: usize,
    next: usize,
    /// Whether each column lies in one piece.
    turned: bool,
}

impl Panels {
    /// Opens a weight whose blocks have this form.
    pub(super) fn open(weight: &Weight, shape: BlockShape) -> Result<Self, MakeError> {
        let (rows, columns) = (shape.rows(), weight.layout.width());
        let width = (PANEL / rows.max(1)).clamp(1, columns.max(1));
        let reader = Reader::open(&weight.payload, weight.data_type)?;
        Ok(Self { reader, rows, columns, width, next: 0, turned: weight.layout.inner() != 1 })
    }

    /// The next columns, `[K, columns]`; nothing after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<f32>>, MakeError> {
        let (start, width) = (self.next, self.width.min(self.columns - self.next));
        if width == 0 {
            return Ok(None);
        }
        self.next += width;
        let mut values = vec![0.0; self.rows * width];
        if self.turned {
            let mut column = vec![0.0; self.rows];
            for index in 0..width {
                self.reader.read((start + index) * self.rows, &mut column)?;
                values[index..].iter_mut().step_by(width).zip(&column).for_each(|(to, from)| *to = *from);
            }
        } else {
            for (row, values) in values.chunks_exact_mut(width).enumerate() {
                self.reader.read(row * self.columns + start, values)?;
            }
        }
        Ok(Some(values))
    }
}
