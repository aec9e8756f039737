//! Transposition of a byte matrix.

/// Rows and columns of a tile: one cache line of either side.
const TILE: usize = 64;
/// Rows and columns that are transposed in registers.
const WORD: usize = 8;

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

fn tile(bytes: &[u8], (rows, columns): (usize, usize), (top, left): (usize, usize), out: &mut [u8]) {
    let (bottom, right) = (rows.min(top + TILE), columns.min(left + TILE));
    // What is left of whole words.
    let (whole_bottom, whole_right) = (bottom - (bottom - top) % WORD, right - (right - left) % WORD);
    for row in (top..whole_bottom).step_by(WORD) {
        for column in (left..whole_right).step_by(WORD) {
            let words = std::array::from_fn(|line| word(&bytes[(row + line) * columns + column..]));
            for (line, word) in turn(words).iter().enumerate() {
                let at = (column + line) * rows + row;
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

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..WORD].try_into().expect("eight bytes"))
}

/// The transpose of eight rows of eight bytes, each row a little-endian word.
///
/// Swaps bytes, then pairs, then fours, between words that lie one, two and four apart.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the words stay in registers only when this is part of the loop")]
pub(super) fn turn(mut words: [u64; WORD]) -> [u64; WORD] {
    for (apart, mask) in [(1, 0x00ff_00ff_00ff_00ff), (2, 0x0000_ffff_0000_ffff), (4, 0x0000_0000_ffff_ffff)]
    {
        for index in (0..WORD).filter(|index| index & apart == 0) {
            let swap = (words[index] >> (8 * apart) ^ words[index + apart]) & mask;
            words[index] ^= swap << (8 * apart);
            words[index + apart] ^= swap;
        }
    }
    words
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
