//! The loops over a strip of columns: eight rows at a time, eight columns in a vector.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

use super::grid::nearest_code;
use super::lanes::{GridLanes, RangeLanes};
use super::shape::NarrowBits;
use crate::quantize::Quality;
use crate::quantize::lanes::LANES;
use crate::quantize::quality::Sums;
use crate::wide::wide;

/// Columns of a strip: long enough to be fetched ahead, short enough that two small blocks of floats and what is kept
/// of the codes fit the second-level cache.
pub(super) const STRIP: usize = 1024;
/// Eights of these.
pub(super) const GROUPS: usize = STRIP / LANES;
/// Rows worked on at a time, so that what belongs to a column is loaded seldom.
pub(super) const ROWS: usize = 8;
/// Bytes that are written to a column at a time.
pub(super) const LINE: usize = 256;
/// Bytes of a word of codes.
pub(super) const WORD: usize = size_of::<u32>();

/// Eight rows of a group of columns.
pub(super) type Eight = [[f32; LANES]; ROWS];

/// Words of codes, each of adjacent rows, the first lowest.
pub(super) type Words = [u32; LANES];

/// What is taken in: rows of the next block, copied since its values are needed twice.
pub(super) struct Taken<'a> {
    pub(super) groups: usize,
    pub(super) rows: [&'a [[f32; LANES]]; ROWS],
    pub(super) values: &'a mut [Eight],
    pub(super) ranges: &'a mut [RangeLanes; GROUPS],
}

/// What is given out: codes of rows of the current block, from those of the first group on.
pub(super) struct Given<'a> {
    pub(super) groups: usize,
    pub(super) values: &'a [Eight],
    pub(super) grids: &'a [GridLanes; GROUPS],
    pub(super) bits: NarrowBits,
    pub(super) codes: &'a mut [Words],
    /// Words from one group to the next.
    pub(super) stride: usize,
}

wide! {
    /// Does both, a group after the other, so that memory and arithmetic do not wait for each other; the quality of
    /// what is given.
    pub(super) fn step(taken: &mut Taken<'_>, given: &mut Given<'_>) -> Quality {
        match given.bits {
            NarrowBits::Four => step_as::<4>(taken, given),
            NarrowBits::Eight => step_as::<8>(taken, given),
        }
    }
}

#[inline(always)]
fn step_as<const BITS: usize>(taken: &mut Taken<'_>, given: &mut Given<'_>) -> Quality {
    let mut sums = Sums::default();
    for (group, codes) in given.codes.chunks_mut(given.stride).enumerate() {
        if group < taken.groups {
            taken.ranges[group] = take(&taken.rows, group, &mut taken.values[group], taken.ranges[group]);
        }
        if group < given.groups {
            let rows = given.values[group].chunks_exact(32 / BITS);
            for (rows, codes) in rows.zip(codes) {
                *codes = encode::<BITS>(rows, &given.grids[group], given.bits.top(), &mut sums);
            }
        } else if group >= taken.groups {
            break;
        }
    }
    sums.quality()
}

#[inline(always)]
fn take(rows: &[&[[f32; LANES]]; ROWS], group: usize, out: &mut Eight, range: RangeLanes) -> RangeLanes {
    rows.iter().zip(out).fold(range, |range, (row, out)| {
        *out = row[group];
        range.widen(out)
    })
}

/// The codes of the rows of one word.
#[inline(always)]
fn encode<const BITS: usize>(rows: &[[f32; LANES]], grids: &GridLanes, top: f32, sums: &mut Sums) -> Words {
    let mut words = [0; LANES];
    for (row, values) in rows.iter().enumerate() {
        for lane in 0..LANES {
            let code = nearest_code(values[lane], grids.get(lane, top), lane, sums);
            words[lane] |= code.cast_unsigned() << (BITS * row);
        }
    }
    words
}

wide! {
    /// The first blocks of a group, a column after the other; `size` words are one block of a group.
    pub(super) fn turn(
        codes: &[Words],
        group: usize,
        size: usize,
        blocks: usize,
        out: &mut [[[u8; 2 * WORD]; LINE / WORD / 2]; LANES],
    ) {
        for (block, codes) in codes.chunks_exact(GROUPS * size).enumerate().take(blocks) {
            let pairs = codes[group * size..][..size].as_chunks().0;
            for (pair, [low, high]) in pairs.iter().enumerate() {
                for lane in 0..LANES {
                    let word = u64::from(low[lane]) | u64::from(high[lane]) << 32;
                    out[lane][block * size / 2 + pair] = word.to_le_bytes();
                }
            }
        }
    }
}
