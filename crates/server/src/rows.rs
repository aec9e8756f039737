//! Whether rows that share a run change each other's answers.

use crate::backend::TensorSpec;
use crate::batch;
use crate::engine::Engine;
use crate::tensor::{Tensor, TensorData, element_count};

/// Sizes of open axes behind the first that are tried, the smallest first.
const SIZES: [usize; 7] = [1, 2, 4, 16, 32, 64, 224];
/// Part of an answer's largest number that rounding in another order may change.
const ROUNDING: f64 = 1e-3;
/// How much larger the second row is: a scale that both share then differs.
const LARGER: f32 = 100.0;
/// Most elements of one made-up row.
const MOST_ELEMENTS: usize = 1 << 22;

impl Engine {
    /// Computes two made-up rows alone and together; names the output whose answer to the first differs, if there is one.
    ///
    /// Rows that the model refuses tell nothing.
    pub(crate) fn output_that_mixes_rows(&self) -> Option<&str> {
        SIZES.into_iter().find_map(|others| self.compare_rows(others)).flatten()
    }

    /// Nothing where the model refuses rows of this size.
    fn compare_rows(&self, others: usize) -> Option<Option<&str>> {
        let (small, large) = (self.made_up_row(others, 1.0)?, self.made_up_row(others, LARGER)?);
        let together = self.run(batch::join(&[&small, &large])?).ok()?;
        let joined = batch::split(&together, &[1, 1])?.swap_remove(0);
        let alone = self.run(small).ok()?;
        let pairs = self.outputs().iter().zip(alone.iter().zip(&joined));
        Some(
            pairs
                .into_iter()
                .find(|(_, (alone, joined))| differ(alone, joined))
                .map(|(spec, _)| spec.name.as_str()),
        )
    }

    fn made_up_row(&self, others: usize, largest: f32) -> Option<Vec<Tensor>> {
        let mut next = pseudo_random();
        self.inputs().iter().map(|spec| row(spec, others, largest, &mut next)).collect()
    }
}

/// Numbers from 0 to 1 that are the same in every run.
fn pseudo_random() -> impl FnMut() -> f32 {
    let mut state = 1_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u8::try_from(state >> 24).unwrap_or_default()) / 255.0
    }
}

/// One row: floats of either sign, and integers that are 0 or 1, which most models take for anything.
fn row(spec: &TensorSpec, others: usize, largest: f32, next: &mut impl FnMut() -> f32) -> Option<Tensor> {
    let declared = spec.shape.as_ref()?;
    let size = |(axis, size): (usize, &Option<usize>)| size.unwrap_or(if axis == 0 { 1 } else { others });
    let shape: Vec<usize> = declared.iter().enumerate().map(size).collect();
    let count = element_count(&shape).filter(|count| *count <= MOST_ELEMENTS)?;
    let mut data = TensorData::ones(spec.datatype, count);
    match &mut data {
        TensorData::Fp32(values) => values.fill_with(|| (next() * 2.0 - 1.0) * largest),
        TensorData::Fp64(values) => values.fill_with(|| f64::from((next() * 2.0 - 1.0) * largest)),
        TensorData::Fp16(values) => values.fill_with(|| half::f16::from_f32((next() * 2.0 - 1.0) * largest)),
        TensorData::Int32(values) => values.fill_with(|| i32::from(next() > 0.5)),
        TensorData::Int64(values) => values.fill_with(|| i64::from(next() > 0.5)),
        TensorData::Bool(_) | TensorData::Int8(_) | TensorData::UInt8(_) | TensorData::Bytes(_) => {}
    }
    Tensor::new(shape, data)
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
