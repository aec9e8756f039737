//! What a cast could not keep.
#![expect(clippy::inline_always, reason = "loops vectorise only when what they call is part of them")]

/// Values that a narrower float does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Finite values beyond the largest finite one.
    pub overflowed: u64,
    /// Values other than zero that became zero.
    pub underflowed: u64,
}

impl Losses {
    /// Adds the losses of other values.
    pub fn merge(&mut self, other: Self) {
        self.overflowed += other.overflowed;
        self.underflowed += other.underflowed;
    }
}

/// Values whose losses fit the counters of one loop.
const BLOCK: usize = 1 << 20;

/// Casts in parts, `one` for each value: its bits, and 1 where it overflowed and where it underflowed.
#[inline(always)]
pub(super) fn cast(values: &[f32], out: &mut [u16], one: impl Fn(f32) -> (u16, u32, u32)) -> Losses {
    let mut losses = Losses::default();
    for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let (mut overflowed, mut underflowed) = (0, 0);
        for (value, out) in values.iter().zip(out) {
            let (bits, over, under) = one(*value);
            *out = bits;
            overflowed += over;
            underflowed += under;
        }
        losses.merge(Losses { overflowed: u64::from(overflowed), underflowed: u64::from(underflowed) });
    }
    losses
}

/// Bits of a float without its sign.
pub(super) const MAGNITUDE: u32 = 0x7fff_ffff;
/// Bits of positive infinity.
pub(super) const INFINITE: u32 = 0x7f80_0000;

/// The sign of a float where a 16-bit float has it.
#[inline(always)]
pub(super) fn sign(bits: u32) -> u32 {
    bits >> 16 & 0x8000
}
