//! What was seen of one activation.

use slipway_kernels::calibrate::Histogram;
use slipway_kernels::quantize::{abs_max, asymmetric};

use super::calibration::Span;
use super::{Range, Shown};

/// Steps on either side of zero below which nothing useful is left of a channel.
const LEAST_STEPS: f32 = 2.0;

/// What was seen of one activation.
#[derive(Debug, Default)]
pub(super) struct Seen {
    histogram: Histogram,
    /// The largest magnitude of each channel, of an activation that has channels along its second axis.
    channels: Vec<f32>,
    problem: Option<String>,
}

impl Seen {
    pub(super) fn observe(&mut self, shown: Shown<'_>) {
        if self.problem.is_some() {
            return;
        }
        if let Err(problem) = self.histogram.observe(shown.values) {
            self.problem = Some(format!("sample {}: {problem}", shown.sample));
            return;
        }
        let [_, channels, space @ ..] = shown.shape else { return };
        if space.is_empty() || shown.values.is_empty() {
            return;
        }
        let inner: usize = space.iter().product();
        self.channels.resize(self.channels.len().max(*channels), 0.0);
        for sample in shown.values.chunks_exact(inner * channels) {
            for (values, largest) in sample.chunks_exact(inner).zip(&mut self.channels) {
                *largest = largest.max(abs_max(values));
            }
        }
    }

    /// The range, or why there is none.
    pub(super) fn span(&self, range: &Range) -> Result<Span, String> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if self.histogram.count() == 0 {
            return Err("it has no element in any sample".to_owned());
        }
        let span = range.of(&self.histogram);
        let (scale, _) = asymmetric(span.low, span.high);
        let alive = self.channels.iter().filter(|largest| **largest > 0.0);
        let lost = alive.clone().filter(|largest| **largest < scale * LEAST_STEPS).count();
        let all = alive.count();
        if lost * 2 > all {
            return Err(format!("one scale for all would leave nothing of {lost} of its {all} channels"));
        }
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(shape: &[usize], values: &[f32]) -> Seen {
        let mut seen = Seen::default();
        seen.observe(Shown { value: 0, name: "x", sample: 7, shape, values });
        seen
    }

    #[test]
    fn channels_that_one_scale_would_lose_are_counted_where_they_live() {
        let unequal = [100.0, -100.0, 0.01, 0.01, 0.02, 0.0, 0.0, 0.0];
        let problem = seen(&[1, 4, 2], &unequal).span(&Range::MinMax).unwrap_err();
        assert!(problem.contains("2 of its 3 channels"), "{problem}");
        assert!(seen(&[1, 8], &unequal).span(&Range::MinMax).is_ok(), "a row of numbers has no channels");
        assert!(seen(&[4, 1, 2], &unequal).span(&Range::MinMax).is_ok(), "samples may differ");
        let equal = [1.0, 0.5, -1.0, 0.1, 0.3, -0.2];
        let span = seen(&[1, 3, 2], &equal).span(&Range::MinMax).unwrap();
        assert!((span.high - 1.0).abs() < f32::EPSILON && (span.low + 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn a_channel_of_fewer_than_two_steps_on_either_side_is_lost() {
        // One step of the range from -127.5 to 127.5 is 1.
        let of = |largest: f32| [127.5, -127.5, largest, -largest, largest, 0.0];
        let problem = seen(&[1, 3, 2], &of(1.9)).span(&Range::MinMax).unwrap_err();
        assert!(problem.contains("2 of its 3 channels"), "{problem}");
        assert!(seen(&[1, 3, 2], &of(2.1)).span(&Range::MinMax).is_ok());
    }

    #[test]
    fn nothing_and_what_is_no_number_have_no_range() {
        for shape in [&[0, 3, 2], &[1, 0, 4], &[1, 3, 0], &[0, 1 << 40, 1 << 40]] {
            assert!(seen(shape, &[]).span(&Range::MinMax).unwrap_err().contains("no element"), "{shape:?}");
        }
        let mut broken = seen(&[1, 1, 2], &[1.0, f32::NAN]);
        broken.observe(Shown { value: 0, name: "x", sample: 8, shape: &[1, 1, 1], values: &[f32::NAN] });
        assert!(broken.span(&Range::MinMax).unwrap_err().starts_with("sample 7: "));
    }
}
