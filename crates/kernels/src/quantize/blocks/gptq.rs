//! Quantization that corrects later weights for the errors of earlier ones.
//!
//! Source: E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative
//! Pre-trained Transformers" (2022). Inputs are taken in the order they have, since the formats written know no other;
//! a block's scale is chosen when its turn comes, from the weights as corrected by then.

use super::fit::BlockFit;
use super::grid::{Grid, byte};
use super::group::Group;
use super::hessian::Factor;
use super::pack::pack;
use super::shape::{BlockShape, Blocked, UnfitBlock};
use crate::quantize::lanes::LANES;
use crate::wide::wide;

/// Quantizes some columns of a weight `[K, N]` so that the outputs on the samples of `factor` change least.
///
/// `values` holds all rows of `columns` columns and is overwritten by the corrected weights. Columns do not depend on each
/// other, so a caller bounds memory by taking some at a time: besides `values` and `out` this takes about
/// `5 · size · columns` bytes.
///
/// An input that was always zero in the samples is rounded to nearest.
///
/// # Errors
/// [`UnfitBlock`] for a block that holds NaN or an infinity.
///
/// # Panics
/// When `shape.rows()` is not the number of inputs of `factor`, or a slice has another length than `shape` says.
pub fn gptq(
    values: &mut [f32],
    columns: usize,
    factor: &Factor,
    shape: BlockShape,
    fit: BlockFit,
    mut out: Blocked<'_>,
) -> Result<(), UnfitBlock> {
    assert_eq!(shape.rows(), factor.inputs(), "a weight for each input");
    assert_eq!(values.len(), shape.rows() * columns, "all rows of the columns");
    out.check(shape, columns);
    if values.is_empty() {
        return Ok(());
    }
    let mut group = Group::new(shape, fit);
    for (block, first) in (0..shape.rows()).step_by(shape.size()).enumerate() {
        let (current, rest) =
            values[first * columns..].split_at_mut(shape.size().min(shape.rows() - first) * columns);
        let grids = grids(current, columns, block, shape, &mut group)?;
        for (column, grid) in grids.iter().enumerate() {
            out.set(shape, column, block, grid.scale, grid.zero_byte());
        }
        let (codes, errors) = quantize_block(current, &grids, factor, first);
        write(&codes, columns, block, shape, &mut out);
        correct(rest, &errors, columns, factor, first);
    }
    Ok(())
}

/// The grid of each column of one block.
fn grids(
    rows: &[f32],
    columns: usize,
    block: usize,
    shape: BlockShape,
    group: &mut Group,
) -> Result<Vec<Grid>, UnfitBlock> {
    let mut grids = Vec::with_capacity(columns);
    for start in (0..columns).step_by(LANES) {
        group.take_columns(rows, columns, start);
        let of_columns = group.grids(start, block)?;
        grids.extend((0..LANES.min(columns - start)).map(|lane| of_columns.get(lane, shape.bits().top())));
    }
    Ok(grids)
}

/// Quantizes the rows of a block one after the other; the codes, and the errors that later blocks must make up for.
fn quantize_block(rows: &mut [f32], grids: &[Grid], factor: &Factor, first: usize) -> (Vec<u8>, Vec<f32>) {
    let columns = grids.len();
    let (mut codes, mut errors) = (vec![0; rows.len()], vec![0.0; rows.len()]);
    let lines = codes.chunks_exact_mut(columns).zip(errors.chunks_exact_mut(columns));
    for (row, (codes, errors)) in lines.enumerate() {
        let (own, later) = rows[row * columns..].split_at_mut(columns);
        let weights = factor.row(first + row);
        let cells = own.iter().zip(grids).zip(codes).zip(&mut *errors);
        for (((value, grid), out), error) in cells {
            let code = grid.code(*value);
            *out = byte(code);
            *error = (*value - grid.step(code) * grid.scale) / single(weights[0]);
        }
        for (line, weight) in later.chunks_exact_mut(columns).zip(&weights[1..]) {
            subtract(single(*weight), errors, line);
        }
    }
    (codes, errors)
}

/// Corrects the rows after a block for the errors of all its rows.
fn correct(rest: &mut [f32], errors: &[f32], columns: usize, factor: &Factor, first: usize) {
    let done = errors.len() / columns;
    for (row, line) in rest.chunks_exact_mut(columns).enumerate() {
        for (source, errors) in errors.chunks_exact(columns).enumerate() {
            subtract(single(factor.row(first + source)[done - source + row]), errors, line);
        }
    }
}

/// Packs the codes of a block, column by column.
fn write(codes: &[u8], columns: usize, block: usize, shape: BlockShape, out: &mut Blocked<'_>) {
    let mut of_column = vec![0; codes.len() / columns];
    for column in 0..columns {
        let source = codes.iter().skip(column).step_by(columns);
        of_column.iter_mut().zip(source).for_each(|(to, from)| *to = *from);
        pack(&of_column, shape.bits(), out.block(shape, column, block));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "corrections are single precision, as the weights")]
fn single(value: f64) -> f32 {
    value as f32
}

wide! {
    fn subtract(factor: f32, values: &[f32], out: &mut [f32]) {
        for (out, value) in out.iter_mut().zip(values) {
            *out -= factor * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::blocks::hessian::Hessian;
    use crate::quantize::{NarrowBits, dequantize_block_rows, quantize_block_columns};
    use crate::wide::testing::both;

    /// A sequence of values in -1 .. 1.
    fn random(seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from((state >> 48) as u16) / 32_768.0 - 1.0
        }
    }

    /// Inputs that depend on each other, some of them much larger, and one that is never there.
    fn samples(inputs: usize, count: usize, seed: u64) -> Vec<f32> {
        let mut random = random(seed);
        let mut rows = Vec::new();
        for _ in 0..count {
            let shared = random();
            rows.extend((0..inputs).map(|input| match input % 7 {
                0 => 4.0 * shared + random(),
                3 if input == 3 => 0.0,
                _ => shared + random(),
            }));
        }
        rows
    }

    struct Outcome {
        error: f64,
        values: Vec<f32>,
    }

    fn outcome(
        weight: &[f32],
        shape: BlockShape,
        factor: &Factor,
        run: impl FnOnce(&mut [f32], Blocked<'_>) -> Result<(), UnfitBlock>,
    ) -> Outcome {
        let columns = weight.len() / shape.rows();
        let mut integers = vec![0; columns * shape.column_bytes()];
        let mut scales = vec![0.0; columns * shape.blocks()];
        let mut zero_points = vec![0; columns * shape.zero_point_bytes()];
        let out = Blocked { integers: &mut integers, scales: &mut scales, zero_points: &mut zero_points };
        run(&mut weight.to_vec(), out).unwrap();
        let mut values = vec![0.0; weight.len()];
        dequantize_block_rows(&integers, &scales, &zero_points, shape, &mut values);
        let of_column = |column: usize| -> Vec<f32> {
            (0..shape.rows())
                .map(|row| values[column * shape.rows() + row] - weight[row * columns + column])
                .collect()
        };
        let error = (0..columns).map(|column| factor.output_error(&of_column(column))).sum();
        Outcome { error, values }
    }

    #[test]
    fn outputs_change_less_than_by_rounding_to_nearest() {
        for (rows, bits, size, zero_points) in [
            (64, NarrowBits::Four, 16, false),
            (96, NarrowBits::Four, 32, true),
            (45, NarrowBits::Four, 32, true),
            (40, NarrowBits::Eight, 16, false),
        ] {
            for seed in 1..6 {
                let columns = 8;
                let mut hessian = Hessian::new(rows);
                hessian.observe(&samples(rows, 200, seed)).unwrap();
                let factor = hessian.factor().unwrap();
                let mut random = random(seed + 100);
                let weight: Vec<f32> = (0..rows * columns).map(|_| random()).collect();
                let shape = BlockShape::new(bits, size, zero_points, rows).unwrap();
                let nearest = outcome(&weight, shape, &factor, |values, out| {
                    quantize_block_columns(values, columns, 0, shape, BlockFit::Nearest, out).map(drop)
                });
                for fit in [BlockFit::Nearest, BlockFit::LeastSquares] {
                    let corrected = outcome(&weight, shape, &factor, |values, out| {
                        gptq(values, columns, &factor, shape, fit, out)
                    });
                    let gain = corrected.error / nearest.error;
                    assert!(gain < 0.8, "{rows} {bits:?} {zero_points} {fit:?}: {gain}");
                }
            }
        }
    }

    #[test]
    fn without_samples_it_is_rounding_to_nearest() {
        let shape = BlockShape::new(NarrowBits::Four, 16, true, 40).unwrap();
        let factor = Hessian::new(40).factor().unwrap();
        let mut random = random(7);
        let weight: Vec<f32> = (0..40 * 5).map(|_| random()).collect();
        let nearest = outcome(&weight, shape, &factor, |values, out| {
            quantize_block_columns(values, 5, 0, shape, BlockFit::Nearest, out).map(drop)
        });
        let corrected = outcome(&weight, shape, &factor, |values, out| {
            gptq(values, 5, &factor, shape, BlockFit::Nearest, out)
        });
        assert_eq!(corrected.values, nearest.values);
    }

    #[test]
    fn columns_and_instruction_sets_do_not_matter() {
        let shape = BlockShape::new(NarrowBits::Four, 16, false, 48).unwrap();
        let (portable, widest) = both(|| {
            let mut hessian = Hessian::new(48);
            hessian.observe(&samples(48, 50, 3)).unwrap();
            let factor = hessian.factor().unwrap();
            let mut random = random(9);
            let weight: Vec<f32> = (0..48 * 9).map(|_| random()).collect();
            let all = outcome(&weight, shape, &factor, |values, out| {
                gptq(values, 9, &factor, shape, BlockFit::Nearest, out)
            });
            let first: Vec<f32> = weight.iter().step_by(9).copied().collect();
            let alone = outcome(&first, shape, &factor, |values, out| {
                gptq(values, 1, &factor, shape, BlockFit::Nearest, out)
            });
            assert_eq!(alone.values, all.values[..48]);
            all.values
        });
        assert_eq!(portable, widest);
    }

    #[test]
    fn what_is_not_finite_is_an_error_that_says_where() {
        let shape = BlockShape::new(NarrowBits::Four, 2, false, 4).unwrap();
        let factor = Hessian::new(4).factor().unwrap();
        let mut values = [1.0, 1.0, 1.0, 1.0, 1.0, f32::NAN, 1.0, 1.0];
        let out = Blocked { integers: &mut [0; 4], scales: &mut [0.0; 4], zero_points: &mut [] };
        let error = gptq(&mut values, 2, &factor, shape, BlockFit::Nearest, out).unwrap_err();
        assert_eq!(error, UnfitBlock { column: 1, block: 1 });
    }
}
