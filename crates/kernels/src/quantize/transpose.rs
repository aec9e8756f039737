//! Transposition of a byte matrix.

use crate::wide::wide;

/// Rows and columns of a tile: one cache line of either side.
const TILE: usize = 64;
/// Rows and columns of a square that is transposed in registers.
pub(super) const WORD: usize = 8;
/// Squares transposed side by side, one in each lane of a vector.
const LANES: usize = 4;
/// Columns of these.
pub(super) const WIDE: usize = WORD * LANES;

/// Writes the transpose of a `rows × columns` row-major matrix.
///
/// Works in tiles, so that neither side is walked across cache lines.
///
/// # Panics
/// When a slice is not `rows · columns` long.
pub fn transpose(bytes: &[u8], rows: usize, columns: usize, out: &mut [u8]) {
    assert_eq!(bytes.len(), rows * columns, "the input is rows · columns long");
    assert_eq!(out.len(), bytes.len(), "the output is as long as the input");
    for row in (0..rows).step_by(TILE) {
        for column in (0..columns).step_by(TILE) {
            tile(bytes, (rows, columns), (row, column), out);
        }
    }
}

wide! {
    fn tile(bytes: &[u8], shape: (usize, usize), corner: (usize, usize), out: &mut [u8]) {
        let ((rows, columns), (top, left)) = (shape, corner);
        let (bottom, right) = (rows.min(top + TILE), columns.min(left + TILE));
        // What is left of whole turns.
        let (whole_bottom, whole_right) = (bottom - (bottom - top) % WORD, right - (right - left) % WIDE);
        for row in (top..whole_bottom).step_by(WORD) {
            for column in (left..whole_right).step_by(WIDE) {
                let lines = turn(std::array::from_fn(|line| words(&bytes[(row + line) * columns + column..])));
                for (offset, word) in lines.as_flattened().iter().enumerate() {
                    let at = (column + place(offset)) * rows + row;
                    out[at..at + WORD].copy_from_slice(&word.to_le_bytes());
                }
            }
        }
        let mut single = |row: usize, column: usize| out[column * rows + row] = bytes[row * columns + column];
        for row in top..bottom {
            let from = if row < whole_bottom { whole_right } else { left };
            (from..right).for_each(|column| single(row, column));
        }
    }
}

/// Bytes of a row as words.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the words stay in registers only when this is part of the loop")]
pub(super) fn words(bytes: &[u8]) -> [u64; LANES] {
    let (words, _) = bytes[..WIDE].as_chunks::<WORD>();
    std::array::from_fn(|lane| u64::from_le_bytes(words[lane]))
}

/// The column of the word at a place of what [`turn`] gives, read row after row.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of a loop")]
pub(super) fn place(offset: usize) -> usize {
    offset % LANES * WORD + offset / LANES
}

/// The transposes of four squares that lie side by side: eight rows of four little-endian words.
///
/// Swaps bytes, then pairs, then fours, between rows that lie one, two and four apart.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the words stay in registers only when this is part of the loop")]
pub(super) fn turn(mut rows: [[u64; LANES]; WORD]) -> [[u64; LANES]; WORD] {
    for (apart, mask) in [(1, 0x00ff_00ff_00ff_00ff), (2, 0x0000_ffff_0000_ffff), (4, 0x0000_0000_ffff_ffff)]
    {
        for index in (0..WORD).filter(|index| index & apart == 0) {
            let (low, high) = (rows[index], rows[index + apart]);
            let swap: [u64; LANES] =
                std::array::from_fn(|lane| (low[lane] >> (8 * apart) ^ high[lane]) & mask);
            rows[index] = std::array::from_fn(|lane| low[lane] ^ swap[lane] << (8 * apart));
            rows[index + apart] = std::array::from_fn(|lane| high[lane] ^ swap[lane]);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_element_changes_its_indices(rows in 0_usize..150, columns in 0_usize..150, seed in any::<u8>()) {
            let bytes: Vec<u8> = (0..rows * columns).map(|index| (index % 251) as u8 ^ seed).collect();
            let mut out = vec![0; bytes.len()];
            transpose(&bytes, rows, columns, &mut out);
            for row in 0..rows {
                for column in 0..columns {
                    prop_assert_eq!(out[column * rows + row], bytes[row * columns + column]);
                }
            }
        }
    }
}
