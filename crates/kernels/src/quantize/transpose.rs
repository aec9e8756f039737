//! Transposition of a byte matrix.

const TILE: usize = 32;

/// Writes the transpose of a `rows × columns` row-major matrix.
///
/// Works in tiles, so that neither side is walked across cache lines.
///
/// # Panics
/// When a slice is not `rows · columns` long.
pub fn transpose(bytes: &[u8], rows: usize, columns: usize, out: &mut [u8]) {
    assert_eq!(bytes.len(), rows * columns, "the input is rows · columns long");
    assert_eq!(out.len(), bytes.len(), "the output is as long as the input");
    for row_start in (0..rows).step_by(TILE) {
        for column_start in (0..columns).step_by(TILE) {
            let row_end = rows.min(row_start + TILE);
            for column in column_start..columns.min(column_start + TILE) {
                let line = &mut out[column * rows + row_start..column * rows + row_end];
                for (row, out) in (row_start..row_end).zip(line) {
                    *out = bytes[row * columns + column];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_element_changes_its_indices(rows in 0_usize..80, columns in 0_usize..80, seed in any::<u8>()) {
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
