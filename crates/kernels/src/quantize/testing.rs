//! What the tests of this module share.

use proptest::prelude::*;

use super::Scheme;

/// The definition, a value at a time.
pub(super) fn reference(value: f32, scale: f32, scheme: Scheme) -> u8 {
    let quotient = value / scale;
    if quotient.is_nan() {
        return low_byte(scheme.lowest);
    }
    let steps = quotient.round_ties_even();
    let low = f64::from(scheme.lowest - scheme.zero_point);
    let high = f64::from(scheme.highest - scheme.zero_point);
    low_byte(f64::from(steps).clamp(low, high) as i32 + scheme.zero_point)
}

fn low_byte(integer: i32) -> u8 {
    integer.to_le_bytes()[0]
}

/// Floats of every kind: any bits, and values near the ties of small scales.
pub(super) fn any_floats(most: usize) -> impl Strategy<Value = Vec<f32>> {
    let ties = (-600_i16..600).prop_map(|halves| f32::from(halves) / 2.0);
    prop::collection::vec(prop_oneof![any::<u32>().prop_map(f32::from_bits), ties, -1.0_f32..1.0], 0..most)
}

/// Finite floats whose squares are finite too.
pub(super) fn finite_floats(most: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![-1.0_f32..1.0, -1e15_f32..1e15, Just(0.0)], 1..most)
}

/// Every symmetric scheme.
pub(super) fn schemes() -> impl Strategy<Value = Scheme> {
    prop_oneof![
        Just(Scheme::INT8),
        Just(Scheme::INT8_REDUCED),
        Just(Scheme::UINT8),
        Just(Scheme::UINT8_REDUCED),
    ]
}
