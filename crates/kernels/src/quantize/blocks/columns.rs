//! Blocks of a weight that lies row after row, `[K, N]`.

use super::fit::{BlockFit, Fitter};
use super::grid::Grid;
use super::pack::pack;
use super::range::{Range, widen};
use super::rows::{Meter, encode, one};
use super::shape::{BlockShape, Blocked, NarrowBits, UnfitBlock};
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;
use crate::quantize::quality::Sums;
use crate::quantize::transpose::{WIDE, WORD, place, turn, words};
use crate::wide::wide;

/// Columns worked on at a time: with [`GROUP`] rows of them the floats fit the first-level cache.
const STRIP: usize = 128;
/// Rows encoded before they are written.
const GROUP: usize = 32;

/// Quantizes whole rows of a weight `[K, N]`, or of some of its columns.
///
/// `values` holds `columns` values for each row, from the first row of block `first` up to the end of a block or of
/// the weight, so a caller may pass a panel of columns with all rows, or a band of rows, and neither the weight nor
/// its integers must fit in memory at once. `out` is that of whole columns: blocks before and after those given stay
/// as they are.
///
/// # Errors
/// [`UnfitBlock`] for a block that holds NaN or an infinity, or, with zero points, spans more than a float can hold.
///
/// # Panics
/// When `values` does not hold whole blocks, or a slice of `out` has another length than `shape` says.
pub fn quantize_block_columns(
    values: &[f32],
    columns: usize,
    first: usize,
    shape: BlockShape,
    fit: BlockFit,
    mut out: Blocked<'_>,
) -> Result<Quality, UnfitBlock> {
    let mut quality = Quality::default();
    out.check(shape, columns);
    if values.is_empty() {
        return Ok(quality);
    }
    assert_eq!(values.len() % columns, 0, "values must be whole rows");
    let end = first * shape.size() + values.len() / columns;
    assert!(end == shape.rows() || end < shape.rows() && end.is_multiple_of(shape.size()), "whole blocks");
    let mut ranges = Ranges::new(if fit == BlockFit::Nearest { columns } else { 0 });
    for (index, values) in values.chunks(shape.size() * columns).enumerate() {
        if fit == BlockFit::Nearest {
            // Before the strips, so that memory is read from front to back once.
            ranges.scan(values, columns);
        }
        for start in (0..columns).step_by(STRIP) {
            let part =
                Part { values, columns, start, width: STRIP.min(columns - start), block: first + index };
            quality.merge(match fit {
                BlockFit::Nearest => part.nearest(&ranges, shape, &mut out)?,
                BlockFit::LeastSquares | BlockFit::HalfQuadratic => part.fitted(shape, fit, &mut out)?,
            });
        }
    }
    Ok(quality)
}

/// One block of each of some adjacent columns.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// All columns of the block's rows.
    values: &'a [f32],
    columns: usize,
    start: usize,
    width: usize,
    block: usize,
}

impl<'a> Part<'a> {
    fn rows(self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.columns).map(move |row| &row[self.start..self.start + self.width])
    }

    fn nearest(
        self,
        ranges: &Ranges,
        shape: BlockShape,
        out: &mut Blocked<'_>,
    ) -> Result<Quality, UnfitBlock> {
        let strip = Strip::new(self, ranges, shape)?;
        let mut quality = Quality::default();
        for column in 0..self.width {
            let grid = strip.grid(column);
            out.set(shape, self.start + column, self.block, grid.scale, grid.zero_byte());
        }
        if self.values.len() < shape.size() * self.columns {
            (0..self.width).for_each(|column| out.block(shape, self.start + column, self.block).fill(0));
        }
        let mut codes = Codes::ZERO;
        for (group, first) in (0..self.values.len() / self.columns).step_by(GROUP).enumerate() {
            let mut sums = Sums::default();
            for (row, codes) in self.rows().skip(first).zip(&mut codes.rows) {
                encode_row(row, &strip, codes, &mut sums);
            }
            quality.merge(sums.quality());
            let used = GROUP.min(self.values.len() / self.columns - first);
            codes.write(used, group, self, shape, out);
        }
        Ok(quality)
    }

    /// Gathers each column and lets the fitter choose.
    fn fitted(self, shape: BlockShape, fit: BlockFit, out: &mut Blocked<'_>) -> Result<Quality, UnfitBlock> {
        let mut fitter = Fitter::new(shape, fit);
        let mut meter = Meter::default();
        let (mut values, mut codes) = (vec![0.0; shape.size()], vec![0; shape.size()]);
        for column in self.start..self.start + self.width {
            let used = self.values.len() / self.columns;
            let of_column = self.values.iter().skip(column).step_by(self.columns);
            values.iter_mut().zip(of_column).for_each(|(to, from)| *to = *from);
            let unfit = UnfitBlock { column, block: self.block };
            let grid = fitter.fit(&values[..used]).ok_or(unfit)?;
            encode(&values[..used], grid, &mut codes[..used], &mut meter);
            pack(&codes[..used], shape.bits(), out.block(shape, column, self.block));
            out.set(shape, column, self.block, grid.scale, grid.zero_byte());
        }
        Ok(meter.finish())
    }
}

/// A value for each column of a strip, in lanes.
type Lanes<T> = [[T; LANES]; STRIP / LANES];

/// The grids of adjacent columns.
struct Strip {
    scale: Lanes<f32>,
    reciprocal: Lanes<f32>,
    zero_point: Lanes<f32>,
    top: f32,
}

impl Strip {
    fn new(part: Part<'_>, ranges: &Ranges, shape: BlockShape) -> Result<Self, UnfitBlock> {
        let empty = [[0.0; LANES]; STRIP / LANES];
        let mut strip = Self { scale: empty, reciprocal: empty, zero_point: empty, top: shape.bits().top() };
        for column in 0..part.width {
            let range = ranges.of(part.start + column);
            let unfit = UnfitBlock { column: part.start + column, block: part.block };
            let grid = Grid::nearest(range, shape).ok_or(unfit)?;
            strip.scale[column / LANES][column % LANES] = grid.scale;
            strip.reciprocal[column / LANES][column % LANES] = grid.reciprocal;
            strip.zero_point[column / LANES][column % LANES] = grid.zero_point;
        }
        Ok(strip)
    }

    fn grid(&self, column: usize) -> Grid {
        let of = |lanes: &Lanes<f32>| lanes[column / LANES][column % LANES];
        Grid {
            scale: of(&self.scale),
            reciprocal: of(&self.reciprocal),
            zero_point: of(&self.zero_point),
            top: self.top,
        }
    }
}

/// The ranges of all columns in one block.
struct Ranges {
    low: Vec<f32>,
    high: Vec<f32>,
    nan: Vec<u32>,
}

impl Ranges {
    fn new(columns: usize) -> Self {
        Self { low: vec![0.0; columns], high: vec![0.0; columns], nan: vec![0; columns] }
    }

    fn of(&self, column: usize) -> Range {
        Range { low: self.low[column], high: self.high[column], nan: self.nan[column] }
    }

    fn scan(&mut self, values: &[f32], columns: usize) {
        let Range { low, high, nan } = Range::EMPTY;
        self.low.fill(low);
        self.high.fill(high);
        self.nan.fill(nan);
        let pairs = values.chunks_exact(2 * columns);
        let odd = pairs.remainder();
        for pair in pairs {
            let (first, second) = pair.split_at(columns);
            widen_rows(first, second, &mut self.low, &mut self.high, &mut self.nan);
        }
        if !odd.is_empty() {
            widen_rows(odd, odd, &mut self.low, &mut self.high, &mut self.nan);
        }
    }
}

wide! {
    /// Widens ranges by two rows, so that they are loaded and stored half as often.
    fn widen_rows(first: &[f32], second: &[f32], low: &mut [f32], high: &mut [f32], nan: &mut [u32]) {
        let ranges = low.iter_mut().zip(high).zip(nan);
        for ((first, second), ((low, high), nan)) in first.iter().zip(second).zip(ranges) {
            let (lower, higher, any) = widen(*first, *low, *high, *nan);
            (*low, *high, *nan) = widen(*second, lower, higher, any);
        }
    }
}

wide! {
    /// The codes of one row.
    fn encode_row(row: &[f32], strip: &Strip, codes: &mut [u8; STRIP], sums: &mut Sums) {
        let mut local = *sums;
        let (chunks, tail) = row.as_chunks::<LANES>();
        let (outs, _) = codes.as_chunks_mut::<LANES>();
        let grids = strip.scale.iter().zip(&strip.reciprocal).zip(&strip.zero_point);
        for (((scale, reciprocal), zero_point), (values, out)) in grids.zip(chunks.iter().zip(&mut *outs)) {
            for lane in 0..LANES {
                let (scale, reciprocal, zero_point) = (scale[lane], reciprocal[lane], zero_point[lane]);
                let grid = Grid { scale, reciprocal, zero_point, top: strip.top };
                out[lane] = one(values[lane], grid, lane, &mut local);
            }
        }
        for (lane, value) in tail.iter().enumerate() {
            let grid = strip.grid(chunks.len() * LANES + lane);
            outs[chunks.len()][lane] = one(*value, grid, lane, &mut local);
        }
        *sums = local;
    }
}

/// Codes of a group of rows, a row after the other.
struct Codes {
    rows: [[u8; STRIP]; GROUP],
    /// Where codes have four bits: each two rows in one.
    pairs: [[u8; STRIP]; GROUP / 2],
}

impl Codes {
    const ZERO: Self = Self { rows: [[0; STRIP]; GROUP], pairs: [[0; STRIP]; GROUP / 2] };

    /// Writes `used` rows of codes to where the columns of `part` lie.
    fn write(&mut self, used: usize, group: usize, part: Part<'_>, shape: BlockShape, out: &mut Blocked<'_>) {
        // An odd row shares its bytes with zeros.
        self.rows[used..used.next_multiple_of(2)].fill([0; STRIP]);
        let (lines, rows) = match shape.bits() {
            NarrowBits::Eight => (used, &self.rows[..]),
            NarrowBits::Four => {
                pair(&self.rows, &mut self.pairs);
                (used.div_ceil(2), &self.pairs[..])
            }
        };
        let start = group * GROUP * shape.bits().count() / 8;
        for column in (0..part.width).step_by(WIDE) {
            let mut turned = [[0; GROUP]; WIDE];
            turn_part(&rows[..lines.next_multiple_of(WORD)], column, &mut turned);
            for (offset, bytes) in turned.iter().take(part.width - column).enumerate() {
                let block = out.block(shape, part.start + column + offset, part.block);
                let (words, rest) = block[start..start + lines].as_chunks_mut::<WORD>();
                let (from, from_rest) = bytes[..lines].as_chunks::<WORD>();
                // Word by word, since a copy of unknown length is a call.
                words.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

wide! {
    fn pair(rows: &[[u8; STRIP]; GROUP], pairs: &mut [[u8; STRIP]; GROUP / 2]) {
        for (out, [low, high]) in pairs.iter_mut().zip(rows.as_chunks::<2>().0) {
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                *out = low | high << 4;
            }
        }
    }
}

wide! {
    /// The codes of each of some columns, one after the other.
    fn turn_part(rows: &[[u8; STRIP]], column: usize, out: &mut [[u8; GROUP]; WIDE]) {
        for (line, rows) in rows.as_chunks::<WORD>().0.iter().enumerate() {
            let turned = turn(std::array::from_fn(|row| words(&rows[row][column..])));
            for (offset, word) in turned.as_flattened().iter().enumerate() {
                out[place(offset)].as_chunks_mut::<WORD>().0[line] = word.to_le_bytes();
            }
        }
    }
}
