//! Whether rows that share a run change each other's answers.

use crate::backend::TensorSpec;
use crate::batch;
use crate::engine::Engine;
use crate::tensor::{DataType, Tensor, TensorData, element_count};

/// Sizes of open axes behind the first that are tried, the smallest first.
const SIZES: [usize; 7] = [1, 2, 4, 16, 32, 64, 224];
/// Part of an answer's largest number that rounding in another order may change.
const ROUNDING: f64 = 1e-3;
/// Integers of both rows: those that most models take for anything, and those that only numbers may be.
const WHOLE_NUMBERS: [[i32; 2]; 2] = [[0, 1], [3, 1000]];
/// How much larger the numbers of the second row are.
const LARGER: f32 = 100.0;
/// Most elements of one made-up row.
const MOST_ELEMENTS: usize = 1 << 22;

impl Engine {
    /// Computes two made-up rows alone and together, in either order; names an output whose answer to one of them differs,
    /// if there is one.
    ///
    /// Rows that the model refuses tell nothing. The first size that it takes is tried, and the first above 1, since what is
    /// computed over an axis of one element says little.
    pub(crate) fn output_that_mixes_rows(&self) -> Option<&str> {
        for others in SIZES {
            match self.compare_rows(others) {
                Some(Some(output)) => return Some(output),
                Some(None) if others > 1 || !self.has_open_inner_axes() => return None,
                _ => {}
            }
        }
        None
    }

    fn has_open_inner_axes(&self) -> bool {
        let is_open = |spec: &TensorSpec| spec.shape.iter().flatten().skip(1).any(Option::is_none);
        self.inputs().iter().any(is_open)
    }

    /// Nothing where the model refuses rows of this size.
    fn compare_rows(&self, others: usize) -> Option<Option<&str>> {
        let takes_integers = |spec: &TensorSpec| matches!(spec.datatype, DataType::Int32 | DataType::Int64);
        let tries = if self.inputs().iter().any(takes_integers) { WHOLE_NUMBERS.len() } else { 1 };
        let compared = WHOLE_NUMBERS[..tries].iter().filter_map(|whole| self.compare_rows_of(others, *whole));
        compared.reduce(Option::or)
    }

    fn compare_rows_of(&self, others: usize, [few, many]: [i32; 2]) -> Option<Option<&str>> {
        let mut next = pseudo_random();
        let small = Scale { float: 1.0, byte: 9.0, whole: few };
        let large = Scale { float: LARGER, byte: 255.0, whole: many };
        let [small, large] = [small, large].map(|scale| self.made_up_row(others, scale, &mut next));
        let rows = [small?, large?];
        let alone = [self.run(rows[0].clone()).ok()?, self.run(rows[1].clone()).ok()?];
        let mut mixed = None;
        for order in [[0, 1], [1, 0]] {
            let together = self.run(batch::join(&order.map(|row| rows[row].as_slice()))?).ok()?;
            let joined = batch::split(&together, &[1, 1])?;
            let differs = |(row, joined): (usize, &Vec<Tensor>)| self.differing(&alone[row], joined);
            mixed = mixed.or(order.into_iter().zip(&joined).find_map(differs));
        }
        Some(mixed)
    }

    /// The output that differs between two answers to the same row.
    fn differing(&self, alone: &[Tensor], joined: &[Tensor]) -> Option<&str> {
        let mut outputs = self.outputs().iter().zip(alone.iter().zip(joined));
        let found = outputs.find(|(_, (alone, joined))| differ(alone, joined));
        found.map(|(spec, _)| spec.name.as_str())
    }

    fn made_up_row(
        &self,
        others: usize,
        scale: Scale,
        next: &mut impl FnMut() -> f32,
    ) -> Option<Vec<Tensor>> {
        self.inputs().iter().map(|spec| row(spec, others, scale, next)).collect()
    }
}

/// How large the numbers of a row are: a scale that both rows share then differs from their own.
#[derive(Clone, Copy)]
struct Scale {
    float: f32,
    byte: f32,
    whole: i32,
}

/// Numbers from 0 to 1 that are the same in every run.
fn pseudo_random() -> impl FnMut() -> f32 {
    let mut state = 1_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u8::try_from(state >> 24).unwrap_or_default()) / 255.0
    }
}

/// One row: floats of either sign, bytes, and the same integer everywhere.
fn row(spec: &TensorSpec, others: usize, scale: Scale, next: &mut impl FnMut() -> f32) -> Option<Tensor> {
    let declared = spec.shape.as_ref()?;
    let size = |(axis, size): (usize, &Option<usize>)| size.unwrap_or(if axis == 0 { 1 } else { others });
    let shape: Vec<usize> = declared.iter().enumerate().map(size).collect();
    let count = element_count(&shape).filter(|count| *count <= MOST_ELEMENTS)?;
    let Scale { float, byte, whole } = scale;
    let mut data = TensorData::ones(spec.datatype, count);
    match &mut data {
        TensorData::Fp32(values) => values.fill_with(|| (next() * 2.0 - 1.0) * float),
        TensorData::Fp64(values) => values.fill_with(|| f64::from((next() * 2.0 - 1.0) * float)),
        TensorData::Fp16(values) => values.fill_with(|| half::f16::from_f32((next() * 2.0 - 1.0) * float)),
        TensorData::UInt8(values) => values.fill_with(|| saturated(next() * byte)),
        TensorData::Int8(values) => values.fill_with(|| saturated(next() * byte).cast_signed()),
        TensorData::Int32(values) => values.fill(whole),
        TensorData::Int64(values) => values.fill(whole.into()),
        TensorData::Bool(values) => values.fill_with(|| float > 1.0 || next() > 0.5),
        TensorData::Bytes(_) => {}
    }
    Tensor::new(shape, data)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn saturated(value: f32) -> u8 {
    value as u8
}

fn differ(alone: &Tensor, joined: &Tensor) -> bool {
    if alone.shape() != joined.shape() {
        return true;
    }
    if let (TensorData::Bytes(alone), TensorData::Bytes(joined)) = (alone.data(), joined.data()) {
        return alone != joined;
    }
    let (alone, joined) = (alone.data().to_f64(), joined.data().to_f64());
    let largest = alone.iter().map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let close = |(alone, joined): (&f64, &f64)| {
        alone.total_cmp(joined).is_eq()
            || (alone - joined).abs() <= ROUNDING * largest + f64::from(f32::EPSILON)
    };
    !alone.iter().zip(&joined).all(close)
}
