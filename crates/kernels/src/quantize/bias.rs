//! Biases as 32-bit integers.

/// A bias that does not fit 32 bits at its scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BiasOverflow {
    /// Which element.
    pub index: usize,
    /// Its value.
    pub value: f32,
    /// The smallest scale at which it would fit.
    pub least_scale: f64,
}

impl std::fmt::Display for BiasOverflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { index, value, least_scale } = self;
        write!(f, "bias {value} at {index} needs a scale of at least {least_scale:e} to fit 32 bits")
    }
}

impl std::error::Error for BiasOverflow {}

/// Quantizes a bias at `scales[i]`, the product of the input's scale and the weight's scale of
/// channel `i`; `scales` has one element for all channels, or one for each.
///
/// # Errors
/// [`BiasOverflow`] for the first element that is not finite or does not fit: the caller raises
/// the weight's scale. Nothing saturates silently.
///
/// # Panics
/// When the lengths do not agree.
#[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
pub fn quantize_bias(bias: &[f32], scales: &[f64], out: &mut [i32]) -> Result<(), BiasOverflow> {
    assert_eq!(bias.len(), out.len(), "one integer a value");
    assert!(scales.len() == 1 || scales.len() == bias.len(), "one scale, or one a channel");
    for (index, (value, out)) in bias.iter().zip(out).enumerate() {
        let scale = if scales.len() == 1 { scales[0] } else { scales[index] };
        let steps = (f64::from(*value) / scale).round_ties_even();
        let fits = steps >= f64::from(i32::MIN) && steps <= f64::from(i32::MAX);
        if !fits {
            let least_scale = f64::from(*value).abs() / f64::from(i32::MAX);
            return Err(BiasOverflow { index, value: *value, least_scale });
        }
        *out = steps as i32;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_uses_its_scale_and_rounds_to_even() {
        let mut out = [0; 3];
        quantize_bias(&[0.5, 1.5, -3.0], &[1.0, 1.0, 0.5], &mut out).unwrap();
        assert_eq!(out, [0, 2, -6]);
        quantize_bias(&[1.0, 2.0, 3.0], &[0.25], &mut out).unwrap();
        assert_eq!(out, [4, 8, 12]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_which_scale_would() {
        let mut out = [0; 2];
        let overflow = quantize_bias(&[0.0, -8.0], &[1e-12], &mut out).unwrap_err();
        assert_eq!((overflow.index, overflow.value), (1, -8.0));
        quantize_bias(&[0.0, -8.0], &[overflow.least_scale], &mut out).unwrap();
        assert!(quantize_bias(&[f32::NAN], &[1.0], &mut out[..1]).is_err());
        assert!(quantize_bias(&[f32::INFINITY], &[1.0], &mut out[..1]).is_err());
    }
}
