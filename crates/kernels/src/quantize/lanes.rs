//! Constants that the vectorised loops share.

/// Independent accumulators a loop keeps, so that additions need not wait for each other.
pub(super) const LANES: usize = 8;

/// 1.5 · 2²³: adding it to a float of magnitude below 2²² rounds half to even and leaves the
/// integer in the low bits of the representation.
pub(super) const ROUNDER: f32 = 12_582_912.0;

/// Clamps so that NaN gives `low`; compiles to one maximum and one minimum.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the loops vectorise only when this is part of them")]
pub(super) fn clamp(value: f32, low: f32, high: f32) -> f32 {
    let value = if value > low { value } else { low };
    if value < high { value } else { high }
}
