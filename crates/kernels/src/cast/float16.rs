//! IEEE 754 binary16.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

use super::losses::{INFINITE, Losses, MAGNITUDE, cast, sign};
use crate::wide::wide;

/// The smallest normal magnitude, 2⁻¹⁴.
const NORMAL: u32 = 113 << 23;
/// The smallest magnitude that rounds beyond 65,504, the largest finite one: 65,520.
const BEYOND: u32 = 0x477f_f000;

wide! {
    /// Casts to the bits of binary16.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn to_float16(values: &[f32], out: &mut [u16]) -> Losses {
        assert_eq!(values.len(), out.len(), "a float for each value");
        cast(values, out, narrow)
    }
}

wide! {
    /// Writes the values of binary16 bits, exactly.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn from_float16(bits: &[u16], out: &mut [f32]) {
        assert_eq!(bits.len(), out.len(), "a value for each float");
        for (bits, out) in bits.iter().zip(out) {
            *out = widen(*bits);
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits are left")]
fn narrow(value: f32) -> (u16, u32, u32) {
    let bits = value.to_bits();
    let magnitude = bits & MAGNITUDE;
    let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + (magnitude >> 13 & 1)) >> 13;
    // The last bit of 0.5 weighs 2⁻²⁴, the step of subnormal numbers, so the addition rounds to it.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
    let small = if magnitude < NORMAL { subnormal } else { normal };
    let finite = if magnitude < BEYOND { small } else { 0x7bff };
    let infinite = if magnitude == INFINITE { 0x7c00 } else { finite };
    let result = if magnitude > INFINITE { 0x7e00 } else { infinite };
    let overflowed = u32::from((BEYOND..INFINITE).contains(&magnitude));
    let underflowed = u32::from(magnitude != 0 && result == 0);
    ((result | sign(bits)) as u16, overflowed, underflowed)
}

#[inline(always)]
fn widen(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let magnitude = (bits & 0x7fff) << 13;
    // Read as a float of 32 bits it is 2¹¹² times too small; the product is exact, for subnormal numbers too.
    let finite = (f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23)).to_bits();
    let result = if magnitude >= 0x7c00 << 13 { magnitude | INFINITE } else { finite };
    f32::from_bits(result | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;
    use crate::wide::testing::both;

    fn reference(value: f32) -> u16 {
        let cast = f16::from_f32(value);
        let saturated = if value.is_finite() && cast.is_infinite() { f16::MAX.copysign(cast) } else { cast };
        if value.is_nan() { f16::NAN.copysign(cast).to_bits() } else { saturated.to_bits() }
    }

    proptest! {
        #[test]
        fn casts_equal_the_reference_on_anything(bits in prop::collection::vec(any::<u32>(), 0..200)) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let (portable, widest) = both(|| {
                let mut out = vec![0; values.len()];
                let losses = to_float16(&values, &mut out);
                (out, losses)
            });
            prop_assert_eq!(&portable, &widest);
            let wanted: Vec<u16> = values.iter().map(|value| reference(*value)).collect();
            prop_assert_eq!(&portable.0, &wanted);
            let overflowed = values.iter().filter(|value| value.is_finite() && f16::from_f32(**value).is_infinite());
            prop_assert_eq!(portable.1.overflowed, overflowed.count() as u64);
            let underflowed = values.iter().filter(|value| **value != 0.0 && f16::from_f32(**value) == f16::ZERO);
            prop_assert_eq!(portable.1.underflowed, underflowed.count() as u64);
        }
    }

    #[test]
    fn every_float16_and_the_ties_beside_it_come_back() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let mut values = vec![0.0; all.len()];
        from_float16(&all, &mut values);
        for (bits, value) in all.iter().zip(&values) {
            let wanted = f16::from_bits(*bits);
            assert!(
                value.to_bits() == wanted.to_f32().to_bits() || value.is_nan() && wanted.is_nan(),
                "{bits:x}"
            );
        }
        let ties: Vec<f32> =
            values.iter().zip(&values[1..]).map(|(low, high)| f32::midpoint(*low, *high)).collect();
        let near = ties.iter().flat_map(|tie| [*tie, tie.next_up(), tie.next_down()]);
        let near: Vec<f32> = near.chain(values).collect();
        let mut out = vec![0; near.len()];
        to_float16(&near, &mut out);
        for (value, out) in near.iter().zip(out) {
            assert_eq!(out, reference(*value), "{value}");
        }
    }

    #[test]
    fn losses_are_counted_and_infinities_kept() {
        let mut out = [0; 6];
        let losses = to_float16(&[65_519.0, 65_520.0, f32::MIN, f32::INFINITY, 2e-8, -0.0], &mut out);
        assert_eq!(out, [0x7bff, 0x7bff, 0xfbff, 0x7c00, 0, 0x8000]);
        assert_eq!(losses, Losses { overflowed: 2, underflowed: 1 });
    }
}
