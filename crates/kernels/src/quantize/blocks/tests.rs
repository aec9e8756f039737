//! The fast paths against the definition, a value at a time.
#![expect(clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "whole numbers of few bits")]

use proptest::prelude::*;

use super::*;
use crate::quantize::Quality;
use crate::quantize::testing::any_floats;
use crate::wide::testing::both;

/// What a function writes for a weight.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    integers: Vec<u8>,
    scales: Vec<u32>,
    zero_points: Vec<u8>,
}

/// Runs a function on buffers for `columns` columns that hold other bytes before.
fn write<T>(shape: BlockShape, columns: usize, run: impl FnOnce(Blocked<'_>) -> T) -> (T, Written) {
    let mut integers = vec![0xaa; columns * shape.column_bytes()];
    let mut scales = vec![f32::NAN; columns * shape.blocks()];
    let mut zero_points = vec![0xaa; columns * shape.zero_point_bytes()];
    let out = Blocked { integers: &mut integers, scales: &mut scales, zero_points: &mut zero_points };
    let result = run(out);
    let scales = scales.into_iter().map(f32::to_bits).collect();
    (result, Written { integers, scales, zero_points })
}

/// The definition for one block: scale, zero point, integers. The block is finite and not too wide.
fn reference(values: &[f32], shape: BlockShape) -> (f32, u8, Vec<u8>) {
    let top = f32::from(if shape.bits() == NarrowBits::Four { 15_u8 } else { 255 });
    let (mut low, mut high) = (f32::MAX, f32::MIN);
    for value in values {
        if *value < low {
            low = *value;
        }
        if *value > high {
            high = *value;
        }
    }
    let (scale, zero_point) = if shape.has_zero_points() {
        let scale = (high.max(0.0) - low.min(0.0)) / top;
        (scale, if scale == 0.0 { 0.0 } else { (-low.min(0.0) / scale).clamp(0.0, top).round() })
    } else {
        let farthest = if high.abs() > low.abs() { high } else { low };
        (-farthest / f32::from(shape.bits().middle()), f32::from(shape.bits().middle()))
    };
    let reciprocal = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let codes = values.iter().map(|value| (value * reciprocal + zero_point).round().clamp(0.0, top) as u8);
    (scale, zero_point as u8, codes.collect())
}

/// The definition for whole columns, `[N, K]`.
fn expected(values: &[f32], shape: BlockShape) -> Written {
    let columns = values.len() / shape.rows();
    let ((), written) = write(shape, columns, |mut out| {
        for (column, values) in values.chunks(shape.rows()).enumerate() {
            for (block, values) in values.chunks(shape.size()).enumerate() {
                let (scale, zero_point, codes) = reference(values, shape);
                out.set(shape, column, block, scale, zero_point);
                let bytes = out.block(shape, column, block);
                bytes.fill(0);
                for (index, code) in codes.into_iter().enumerate() {
                    match shape.bits() {
                        NarrowBits::Four => bytes[index / 2] |= code << (4 * (index % 2)),
                        NarrowBits::Eight => bytes[index] = code,
                    }
                }
            }
        }
    });
    written
}

fn turned(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

/// The quality of blocks that were written, a value at a time; saturated is what lies `edge` steps away.
fn quality(values: &[f32], shape: BlockShape, written: &Written, edge: f32) -> Quality {
    let scales: Vec<f32> = written.scales.iter().map(|bits| f32::from_bits(*bits)).collect();
    let mut back = vec![0.0; values.len()];
    dequantize_block_rows(&written.integers, &scales, &written.zero_points, shape, &mut back);
    let mut quality = Quality::default();
    let columns = values.chunks(shape.rows().max(1)).zip(back.chunks(shape.rows().max(1)));
    for ((values, back), scales) in columns.zip(scales.chunks(shape.blocks())) {
        for (index, (value, back)) in values.iter().zip(back).enumerate() {
            let error = (value - back).abs();
            quality.merge(Quality {
                max_error: error,
                squared_error: f64::from(error).powi(2),
                squared_value: f64::from(*value).powi(2),
                saturated: u64::from(error > edge * scales[index / shape.size()].abs()),
            });
        }
    }
    quality
}

fn shapes() -> impl Strategy<Value = BlockShape> {
    let bits = prop_oneof![Just(NarrowBits::Four), Just(NarrowBits::Eight)];
    (bits, prop_oneof![Just(2_usize), Just(16), Just(32), Just(64)], any::<bool>(), 1_usize..140)
        .prop_map(|(bits, size, zero_points, rows)| BlockShape::new(bits, size, zero_points, rows).unwrap())
}

/// Finite values of every kind whose range does not overflow.
fn weights() -> impl Strategy<Value = Vec<f32>> {
    any_floats(2000).prop_map(|values| {
        let tame = |value: f32| if value.is_finite() { value / 4.0 } else { -0.0 };
        values.into_iter().map(tame).collect()
    })
}

proptest! {
    #[test]
    fn nearest_equals_the_reference_on_anything(values in weights(), shape in shapes(), bands in 1_usize..4) {
        let columns = values.len() / shape.rows();
        let values = &values[..columns * shape.rows()];
        let of_columns = turned(values, shape.rows());
        let wanted = expected(&of_columns, shape);

        let (result, written) =
            write(shape, columns, |out| quantize_block_rows(&of_columns, shape, BlockFit::Nearest, out));
        prop_assert!(result.is_ok());
        prop_assert_eq!(&written, &wanted);

        let (result, written) = write(shape, columns, |out| {
            let band = bands * shape.size() * columns;
            values.chunks(band.max(1)).enumerate().try_for_each(|(index, rows)| {
                let out = Blocked { integers: out.integers, scales: out.scales, zero_points: out.zero_points };
                quantize_block_columns(rows, columns, index * bands, shape, BlockFit::Nearest, out).map(drop)
            })
        });
        prop_assert!(result.is_ok());
        prop_assert_eq!(&written, &wanted);
    }

    #[test]
    fn the_quality_is_that_of_what_is_written(
        values in prop::collection::vec(-1.0_f32..1.0, 1..1500),
        shape in shapes(),
    ) {
        let columns = values.len() / shape.rows();
        let values = &values[..columns * shape.rows()];
        let of_columns = turned(values, shape.rows());
        let (by_rows, written) =
            write(shape, columns, |out| quantize_block_rows(&of_columns, shape, BlockFit::Nearest, out));
        let (by_columns, _) = write(shape, columns, |out| {
            quantize_block_columns(values, columns, 0, shape, BlockFit::Nearest, out)
        });
        let wanted = quality(&of_columns, shape, &written, 0.501);
        // A place among 256 has four decimals.
        let [most, least] = [0.500_9, 0.501_1].map(|edge| quality(&of_columns, shape, &written, edge).saturated);
        for found in [by_rows.unwrap(), by_columns.unwrap()] {
            prop_assert_eq!(found.max_error, wanted.max_error);
            prop_assert!((least..=most).contains(&found.saturated), "{} of {least} to {most}", found.saturated);
            prop_assert!((found.squared_error - wanted.squared_error).abs() <= wanted.squared_error * 1e-5);
            prop_assert!((found.squared_value - wanted.squared_value).abs() <= wanted.squared_value * 1e-5);
        }
    }

    #[test]
    fn instruction_sets_agree_bit_for_bit(
        values in weights(),
        shape in shapes(),
        fit in prop_oneof![Just(BlockFit::Nearest), Just(BlockFit::LeastSquares), Just(BlockFit::HalfQuadratic)],
    ) {
        let columns = values.len() / shape.rows();
        let values = &values[..columns * shape.rows()];
        let (portable, widest) =
            both(|| write(shape, columns, |out| quantize_block_columns(values, columns, 0, shape, fit, out)).1);
        prop_assert_eq!(portable, widest);
        let (portable, widest) = both(|| write(shape, columns, |out| quantize_block_rows(values, shape, fit, out)).1);
        prop_assert_eq!(portable, widest);
    }

    #[test]
    fn fits_are_never_worse_than_nearest(
        values in prop::collection::vec(-1.0_f32..1.0, 1..400),
        shape in shapes(),
        exponent in -60_i32..60,
        fit in prop_oneof![Just(BlockFit::LeastSquares), Just(BlockFit::HalfQuadratic)],
    ) {
        let shape = BlockShape::new(shape.bits(), shape.size(), shape.has_zero_points(), values.len()).unwrap();
        let values: Vec<f32> = values.into_iter().map(|value| value * (f64::from(exponent)).exp2() as f32).collect();
        let error = |fit| {
            let (quality, _) = write(shape, 1, |out| quantize_block_rows(&values, shape, fit, out));
            quality.unwrap().squared_error
        };
        // The sums are of single precision.
        prop_assert!(error(fit) <= error(BlockFit::Nearest) * (1.0 + 1e-6));
    }

    #[test]
    fn fits_do_not_depend_on_the_layout_or_the_unit(
        values in prop::collection::vec(-1.0_f32..1.0, 1..600),
        shape in shapes(),
        fit in prop_oneof![Just(BlockFit::LeastSquares), Just(BlockFit::HalfQuadratic)],
    ) {
        let columns = values.len() / shape.rows();
        let values = &values[..columns * shape.rows()];
        let of_columns = turned(values, shape.rows());
        let (result, by_rows) = write(shape, columns, |out| quantize_block_rows(&of_columns, shape, fit, out));
        let quality = result.unwrap();
        let (result, by_columns) =
            write(shape, columns, |out| quantize_block_columns(values, columns, 0, shape, fit, out));
        result.unwrap();
        prop_assert_eq!(&by_rows, &by_columns);

        let doubled: Vec<f32> = of_columns.iter().map(|value| value * 1024.0).collect();
        let (_, by_unit) = write(shape, columns, |out| quantize_block_rows(&doubled, shape, fit, out));
        prop_assert_eq!(&by_unit.integers, &by_rows.integers);

        let mut back = vec![0.0; of_columns.len()];
        let scales: Vec<f32> = by_rows.scales.iter().map(|bits| f32::from_bits(*bits)).collect();
        dequantize_block_rows(&by_rows.integers, &scales, &by_rows.zero_points, shape, &mut back);
        let worst = of_columns.iter().zip(&back).map(|(value, back)| (value - back).abs()).fold(0.0, f32::max);
        prop_assert_eq!(worst, quality.max_error);
    }
}

#[test]
fn weights_larger_than_what_is_worked_on_at_a_time_equal_the_reference() {
    for (bits, size, zero_points, rows, columns) in [
        (NarrowBits::Four, 32, true, 32 * 17 + 7, 1037),
        (NarrowBits::Four, 32, false, 32 * 40, 24),
        (NarrowBits::Eight, 32, true, 32 * 9 + 1, 1025),
        (NarrowBits::Four, 256, true, 256 * 3 - 2, 9),
        (NarrowBits::Eight, 512, false, 512 * 2 + 3, 9),
        (NarrowBits::Four, 2048, true, 2048 + 5, 3),
        (NarrowBits::Four, 8, true, 8 * 33, 11),
    ] {
        let shape = BlockShape::new(bits, size, zero_points, rows).unwrap();
        let value = |index: usize| (index as u32).wrapping_mul(2_654_435_761).cast_signed() as f32 * 1e-9;
        let values: Vec<f32> = (0..rows * columns).map(value).collect();
        let of_columns = turned(&values, rows);
        let wanted = expected(&of_columns, shape);
        let nearest = BlockFit::Nearest;
        let (_, found) =
            write(shape, columns, |out| quantize_block_columns(&values, columns, 0, shape, nearest, out));
        assert!(found == wanted, "by columns: {shape:?}");
        let (_, found) = write(shape, columns, |out| quantize_block_rows(&of_columns, shape, nearest, out));
        assert!(found == wanted, "by rows: {shape:?}");
    }
}

#[test]
fn what_is_not_finite_is_an_error_that_says_where() {
    let wide = [f32::MAX, f32::MIN];
    for (bad, zero_points) in
        [(f32::NAN, false), (f32::INFINITY, false), (f32::NEG_INFINITY, true), (-f32::NAN, true)]
    {
        for fit in [BlockFit::Nearest, BlockFit::LeastSquares, BlockFit::HalfQuadratic] {
            for place in 0..3 * 40 {
                let shape = BlockShape::new(NarrowBits::Four, 16, zero_points, 40).unwrap();
                let mut values = vec![1.0; 3 * 40];
                values[place] = bad;
                let wanted = Err(UnfitBlock { column: place / 40, block: place % 40 / 16 });
                let (found, _) = write(shape, 3, |out| quantize_block_rows(&values, shape, fit, out));
                assert_eq!(found, wanted);
                let rows = turned(&values, 3);
                let (found, _) = write(shape, 3, |out| quantize_block_columns(&rows, 3, 0, shape, fit, out));
                assert_eq!(found, wanted);
            }
        }
    }
    let shape = BlockShape::new(NarrowBits::Eight, 2, true, 2).unwrap();
    let (found, _) = write(shape, 1, |out| quantize_block_rows(&wide, shape, BlockFit::Nearest, out));
    let error = found.unwrap_err();
    assert!(error.to_string().starts_with("block 0 of column 0 holds NaN"), "{error}");
    let shape = BlockShape::new(NarrowBits::Eight, 2, false, 2).unwrap();
    let (found, _) = write(shape, 1, |out| quantize_block_rows(&wide, shape, BlockFit::LeastSquares, out));
    assert!(found.is_ok());
}

#[test]
fn the_first_zero_decides_the_sign_of_the_scale_of_a_block_of_zeros() {
    let shape = BlockShape::new(NarrowBits::Four, 16, false, 32).unwrap();
    // Two columns of two blocks: each starts with one zero and holds the other.
    let values: Vec<f32> =
        (0..64).map(|index| if (index % 16 == 0) ^ (index < 32) { 0.0 } else { -0.0 }).collect();
    let wanted = expected(&values, shape);
    let (_, found) = write(shape, 2, |out| quantize_block_rows(&values, shape, BlockFit::Nearest, out));
    assert_eq!(found, wanted);
    let rows = turned(&values, 2);
    let (_, found) =
        write(shape, 2, |out| quantize_block_columns(&rows, 2, 0, shape, BlockFit::Nearest, out));
    assert_eq!(found, wanted);
}

#[test]
fn no_rows_and_no_columns_are_no_error() {
    let shape = BlockShape::new(NarrowBits::Four, 16, true, 0).unwrap();
    assert!(
        write(shape, 3, |out| quantize_block_columns(&[], 3, 0, shape, BlockFit::Nearest, out)).0.is_ok()
    );
    let shape = BlockShape::new(NarrowBits::Four, 16, true, 40).unwrap();
    assert!(write(shape, 0, |out| quantize_block_rows(&[], shape, BlockFit::Nearest, out)).0.is_ok());
}

#[test]
fn fits_help_where_they_should() {
    let normal = |index: u32| (f64::from(index) * 12.989_8).sin() * (f64::from(index) * 78.233).cos();
    let values: Vec<f32> = (0..4096).map(|index| normal(index) as f32).collect();
    let error = |fit, zero_points| {
        let shape = BlockShape::new(NarrowBits::Four, 32, zero_points, 4096).unwrap();
        write(shape, 1, |out| quantize_block_rows(&values, shape, fit, out)).0.unwrap().squared_error
    };
    for (fit, zero_points) in
        [(BlockFit::LeastSquares, false), (BlockFit::LeastSquares, true), (BlockFit::HalfQuadratic, true)]
    {
        let gain = error(fit, zero_points) / error(BlockFit::Nearest, zero_points);
        assert!(gain < 0.95, "{fit:?} {gain}");
    }
}
