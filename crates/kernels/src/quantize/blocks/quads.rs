//! The loops over a strip of columns: four rows at a time, eight columns in a vector.

use super::grid::nearest_code;
use super::lanes::{GridLanes, RangeLanes};
use super::shape::NarrowBits;
use crate::quantize::Quality;
use crate::quantize::lanes::{LANES, ROUNDER};
use crate::quantize::quality::Sums;
use crate::wide::wide;

/// Columns of a strip: long enough to be fetched ahead, short enough that two small blocks of floats fit the
/// second-level cache.
pub(super) const STRIP: usize = 1024;
/// Eights of these.
pub(super) const GROUPS: usize = STRIP / LANES;
/// Rows worked on at a time, so that what belongs to a column is loaded seldom.
pub(super) const QUAD: usize = 4;
/// Bytes that are written to a column at a time.
pub(super) const LINE: usize = 256;
/// Bytes of a word of codes.
pub(super) const WORD: usize = size_of::<u64>();

/// Four rows of a strip.
pub(super) type Quad<T> = [[[T; LANES]; QUAD]; GROUPS];

wide! {
    /// The codes of eight columns, a column after the other.
    pub(super) fn turn(
        codes: &[[[u32; LANES]; GROUPS]],
        group: usize,
        bits: NarrowBits,
        out: &mut [[[u8; WORD]; LINE / WORD]; LANES],
    ) {
        let mut put = |place: usize, low: [u32; LANES], high: [u32; LANES]| {
            for lane in 0..LANES {
                out[lane][place] = (u64::from(low[lane]) | u64::from(high[lane]) << 32).to_le_bytes();
            }
        };
        match bits {
            NarrowBits::Eight => {
                for (place, [low, high]) in codes.as_chunks().0.iter().enumerate().take(LINE / WORD) {
                    put(place, low[group], high[group]);
                }
            }
            NarrowBits::Four => {
                for (place, quads) in codes.as_chunks::<4>().0.iter().enumerate().take(LINE / WORD) {
                    let [a, b, c, d] = quads.each_ref().map(|quad| &quad[group]);
                    let low = std::array::from_fn(|lane| a[lane] | b[lane] << 16);
                    let high = std::array::from_fn(|lane| c[lane] | d[lane] << 16);
                    put(place, low, high);
                }
            }
        }
    }
}

wide! {
    /// Copies four rows and widens the ranges by them.
    pub(super) fn scan(rows: &[&[f32]; QUAD], out: &mut Quad<f32>, ranges: &mut [RangeLanes; GROUPS]) {
        for group in 0..rows[0].len().div_ceil(LANES) {
            scan_group(rows, group, &mut out[group], &mut ranges[group]);
        }
    }
}

wide! {
    /// The codes of four rows, or the first of them.
    pub(super) fn encode(
        values: &Quad<f32>,
        used: usize,
        grids: &[GridLanes],
        bits: NarrowBits,
        codes: &mut [[u32; LANES]; GROUPS],
    ) -> Quality {
        let mut sums = Sums::default();
        for ((values, grids), codes) in values.iter().zip(grids).zip(codes) {
            *codes = match bits {
                NarrowBits::Four => codes_of::<4>(&values[..used], grids, bits.top(), &mut sums),
                NarrowBits::Eight => codes_of::<8>(&values[..used], grids, bits.top(), &mut sums),
            };
        }
        sums.quality()
    }
}

wide! {
    /// Both for as many columns: copies and scans four rows of the next block, and encodes four of the current one.
    pub(super) fn both(
        rows: &[&[f32]; QUAD],
        out: &mut Quad<f32>,
        ranges: &mut [RangeLanes; GROUPS],
        values: &Quad<f32>,
        grids: &[GridLanes],
        bits: NarrowBits,
        codes: &mut [[u32; LANES]; GROUPS],
    ) -> Quality {
        match bits {
            NarrowBits::Four => both_as::<4>(rows, out, ranges, values, grids, bits.top(), codes),
            NarrowBits::Eight => both_as::<8>(rows, out, ranges, values, grids, bits.top(), codes),
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
fn both_as<const BITS: usize>(
    rows: &[&[f32]; QUAD],
    out: &mut Quad<f32>,
    ranges: &mut [RangeLanes; GROUPS],
    values: &Quad<f32>,
    grids: &[GridLanes],
    top: f32,
    codes: &mut [[u32; LANES]; GROUPS],
) -> Quality {
    let mut sums = Sums::default();
    for (group, grids) in grids.iter().enumerate() {
        scan_group(rows, group, &mut out[group], &mut ranges[group]);
        codes[group] = codes_of::<BITS>(&values[group], grids, top, &mut sums);
    }
    sums.quality()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
fn scan_group(rows: &[&[f32]; QUAD], group: usize, out: &mut [[f32; LANES]; QUAD], range: &mut RangeLanes) {
    let mut local = *range;
    for (row, out) in rows.iter().zip(out) {
        let (whole, rest) = row.as_chunks::<LANES>();
        let values = whole.get(group).copied().unwrap_or_else(|| padded(rest));
        *out = values;
        local = local.widen(&values);
    }
    *range = local;
}

/// The last columns, and zeros.
#[cold]
fn padded(rest: &[f32]) -> [f32; LANES] {
    let mut values = [0.0; LANES];
    values[..rest.len()].copy_from_slice(rest);
    values
}

/// The codes of some rows of eight columns, the first lowest.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
fn codes_of<const BITS: usize>(
    rows: &[[f32; LANES]],
    grids: &GridLanes,
    top: f32,
    sums: &mut Sums,
) -> [u32; LANES] {
    let mut codes = [0_u32; LANES];
    for (row, values) in rows.iter().enumerate() {
        for lane in 0..LANES {
            let code = nearest_code(values[lane], grids.get(lane, top), lane, sums) - ROUNDER.to_bits();
            codes[lane] |= code << (BITS * row);
        }
    }
    codes
}
