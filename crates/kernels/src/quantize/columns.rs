//! Quantization of a row-major matrix with one scale a column.

use super::affine::one;
use super::lanes::LANES;
use super::quality::{BLOCK, Sums};
use super::{Quality, Scheme};
use crate::wide::wide;

/// Quantizes whole rows of a matrix of `scales.len()` columns, each column with its scale.
///
/// The channel axis is the inner one, as in the right operand of a `MatMul`; where it is the
/// outer one, call [`quantize`](super::quantize) row by row. Contract and error as there.
///
/// # Panics
/// When `values` does not hold whole rows, or `out` differs in length.
pub fn quantize_columns(values: &[f32], scales: &[f32], scheme: Scheme, out: &mut [u8]) -> Quality {
    assert_eq!(values.len(), out.len(), "one byte a value");
    let mut quality = Quality::default();
    if values.is_empty() {
        return quality;
    }
    assert_eq!(values.len() % scales.len(), 0, "values must be whole rows");
    for (row, out) in values.chunks_exact(scales.len()).zip(out.chunks_exact_mut(scales.len())) {
        let blocks = row.chunks(BLOCK).zip(scales.chunks(BLOCK)).zip(out.chunks_mut(BLOCK));
        for ((values, scales), out) in blocks {
            quality.merge(block(values, scales, scheme, out));
        }
    }
    quality
}

wide! {
    fn block(values: &[f32], scales: &[f32], scheme: Scheme, out: &mut [u8]) -> Quality {
        let mut sums = Sums::default();
        let (values, value_tail) = values.as_chunks::<LANES>();
        let (scales, scale_tail) = scales.as_chunks::<LANES>();
        let (outs, out_tail) = out.as_chunks_mut::<LANES>();
        for ((values, scales), out) in values.iter().zip(scales).zip(outs) {
            for lane in 0..LANES {
                out[lane] = one(values[lane], scales[lane], scheme, lane, &mut sums);
            }
        }
        for (lane, ((value, scale), out)) in value_tail.iter().zip(scale_tail).zip(out_tail).enumerate() {
            *out = one(*value, *scale, scheme, lane, &mut sums);
        }
        sums.quality()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantize::testing::{any_floats, reference, schemes};
    use crate::wide::testing::both;

    proptest! {
        #[test]
        fn equals_the_reference_on_anything(
            values in any_floats(400),
            scales in prop::collection::vec(1e-20_f32..1e20, 1..40),
            scheme in schemes(),
        ) {
            let rows = values.len() / scales.len();
            let values = &values[..rows * scales.len()];
            let (out, widest) = both(|| {
                let mut out = vec![0; values.len()];
                quantize_columns(values, &scales, scheme, &mut out);
                out
            });
            prop_assert_eq!(&out, &widest);
            let wanted: Vec<u8> = values
                .iter()
                .zip(scales.iter().cycle())
                .map(|(value, scale)| reference(*value, *scale, scheme))
                .collect();
            prop_assert_eq!(out, wanted);
        }
    }

    #[test]
    fn rows_wider_than_a_block_keep_their_columns() {
        let columns = BLOCK + 3;
        let scales: Vec<f32> = (0..columns).map(|column| if column < BLOCK { 1.0 } else { 2.0 }).collect();
        let mut out = vec![0; 2 * columns];
        let quality = quantize_columns(&vec![8.0; 2 * columns], &scales, Scheme::INT8, &mut out);
        assert!(out.chunks(columns).all(|row| row[..BLOCK].iter().all(|q| *q == 8)));
        assert!(out.chunks(columns).all(|row| row[BLOCK..].iter().all(|q| *q == 4)));
        assert_eq!(quality.max_error, 0.0);
    }

    #[test]
    fn no_rows_are_no_error() {
        assert_eq!(quantize_columns(&[], &[], Scheme::INT8, &mut []), Quality::default());
    }
}
