//! The upper half of a float of 32 bits.

use super::losses::{INFINITE, Losses, MAGNITUDE, cast, sign};
use crate::wide::wide;

/// The smallest magnitude that rounds beyond the largest finite one.
const BEYOND: u32 = 0x7f7f_8000;

wide! {
    /// Casts to the bits of bfloat16.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn to_bfloat16(values: &[f32], out: &mut [u16]) -> Losses {
        assert_eq!(values.len(), out.len(), "a float for each value");
        cast(values, out, narrow)
    }
}

wide! {
    /// Writes the values of bfloat16 bits, exactly.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn from_bfloat16(bits: &[u16], out: &mut [f32]) {
        assert_eq!(bits.len(), out.len(), "a value for each float");
        for (bits, out) in bits.iter().zip(out) {
            *out = f32::from_bits(u32::from(*bits) << 16);
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits are left")]
fn narrow(value: f32) -> (u16, u32, u32) {
    let bits = value.to_bits();
    let magnitude = bits & MAGNITUDE;
    let rounded = (magnitude + 0x7fff + (magnitude >> 16 & 1)) >> 16;
    let finite = if magnitude < BEYOND { rounded } else { 0x7f7f };
    let infinite = if magnitude == INFINITE { 0x7f80 } else { finite };
    let result = if magnitude > INFINITE { 0x7fc0 } else { infinite };
    let overflowed = u32::from((BEYOND..INFINITE).contains(&magnitude));
    let underflowed = u32::from(magnitude != 0 && result == 0);
    ((result | sign(bits)) as u16, overflowed, underflowed)
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::*;
    use crate::wide::testing::both;

    fn reference(value: f32) -> u16 {
        let cast = bf16::from_f32(value);
        let saturated = if value.is_finite() && cast.is_infinite() { bf16::MAX.copysign(cast) } else { cast };
        if value.is_nan() { bf16::NAN.copysign(cast).to_bits() } else { saturated.to_bits() }
    }

    proptest! {
        #[test]
        fn casts_equal_the_reference_on_anything(bits in prop::collection::vec(any::<u32>(), 0..200)) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let (portable, widest) = both(|| {
                let mut out = vec![0; values.len()];
                let losses = to_bfloat16(&values, &mut out);
                (out, losses)
            });
            prop_assert_eq!(&portable, &widest);
            let wanted: Vec<u16> = values.iter().map(|value| reference(*value)).collect();
            prop_assert_eq!(&portable.0, &wanted);
        }
    }

    #[test]
    fn every_bfloat16_and_the_ties_beside_it_come_back() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let mut values = vec![0.0; all.len()];
        from_bfloat16(&all, &mut values);
        let near: Vec<f32> = values
            .iter()
            .flat_map(|value| [0, 0x7fff, 0x8000, 0x8001].map(|low| f32::from_bits(value.to_bits() | low)))
            .collect();
        let mut out = vec![0; near.len()];
        to_bfloat16(&near, &mut out);
        for (value, out) in near.iter().zip(out) {
            assert_eq!(out, reference(*value), "{value}");
        }
    }

    #[test]
    fn losses_are_counted_and_infinities_kept() {
        let mut out = [0; 5];
        let losses = to_bfloat16(&[f32::MAX, f32::MIN, f32::NEG_INFINITY, f32::from_bits(1), 0.0], &mut out);
        assert_eq!(out, [0x7f7f, 0xff7f, 0xff80, 0, 0]);
        assert_eq!(losses, Losses { overflowed: 2, underflowed: 1 });
    }
}
