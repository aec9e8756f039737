//! Golden samples: a few inputs with the candidate's outputs, replayed by a serving pod before it says ready.
//!
//! The file is the server's format, version 1: `{"version": 1, "samples": [{"inputs": [tensor], "outputs": [tensor],
//! "slack": 0.001}]}`, tensors in the JSON form of the Open Inference Protocol. `slack` is the largest difference that
//! any output element may have.

use serde::{Deserialize, Serialize};

use super::WireTensor;

/// How many samples are recorded.
pub(super) const COUNT: usize = 8;
/// Room for engines and processors that round differently, as a share of the largest output element.
const ROUNDING: f64 = 1e-3;
const VERSION: u32 = 1;

/// A file of golden samples.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GoldenSamples {
    /// Version of the format; 1.
    pub version: u32,
    /// The samples, at least one in a file that a server takes.
    pub samples: Vec<GoldenSample>,
}

/// One request and its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GoldenSample {
    /// One tensor for each input of the model.
    pub inputs: Vec<WireTensor>,
    /// The output that was judged.
    pub outputs: Vec<WireTensor>,
    /// Largest allowed difference of any element, absolute.
    pub slack: f64,
}

impl Default for GoldenSamples {
    fn default() -> Self {
        Self { version: VERSION, samples: Vec::new() }
    }
}

impl GoldenSamples {
    /// Whether a sample is one of those that are recorded: spread evenly over the data set, the first among them.
    pub(super) fn wants(sample: usize, count: usize) -> bool {
        let wanted = COUNT.min(count);
        (0..wanted).any(|index| index * count / wanted == sample)
    }

    /// Records what the candidate answered to a sample.
    ///
    /// The slack is what optimising changed on this very sample, or rounding if that is more: a pod whose answers
    /// stray further than the stages themselves moved them does not run what was judged. An answer that is not finite
    /// is not recorded, since nothing can be compared with it.
    pub(super) fn record(
        &mut self,
        inputs: Vec<WireTensor>,
        output: WireTensor,
        candidate: &[f64],
        baseline: &[f64],
    ) {
        if !candidate.iter().all(|value| value.is_finite()) {
            return;
        }
        let largest = candidate.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let moved = candidate.iter().zip(baseline).map(|(ours, theirs)| (ours - theirs).abs());
        let moved = moved.filter(|difference| difference.is_finite()).fold(0.0_f64, f64::max);
        self.samples.push(GoldenSample {
            inputs,
            outputs: vec![output],
            slack: moved.max(largest * ROUNDING),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::evaluate::Datatype;

    fn tensor(name: &str, data: &str) -> WireTensor {
        let data = RawValue::from_string(data.to_owned()).unwrap();
        WireTensor { name: name.to_owned(), datatype: Datatype::Fp32, shape: vec![1, 2], data }
    }

    #[test]
    fn samples_are_spread_over_the_data() {
        let chosen =
            |count| (0..count).filter(|sample| GoldenSamples::wants(*sample, count)).collect::<Vec<_>>();
        assert_eq!(chosen(720), [0, 90, 180, 270, 360, 450, 540, 630]);
        assert_eq!(chosen(3), [0, 1, 2]);
        assert_eq!(chosen(0), Vec::<usize>::new());
    }

    #[test]
    fn slack_is_what_optimising_changed_but_at_least_rounding() {
        let mut golden = GoldenSamples::default();
        let record = |golden: &mut GoldenSamples, ours: &[f64], theirs: &[f64]| {
            golden.record(vec![tensor("x", "[1,2]")], tensor("y", "[0.9,0.1]"), ours, theirs);
        };
        record(&mut golden, &[0.9, 0.1], &[0.85, 0.15]);
        record(&mut golden, &[0.9, 0.1], &[0.9, 0.1]);
        record(&mut golden, &[0.9, 0.1], &[f64::NAN, 0.1]);
        record(&mut golden, &[f64::NAN, 0.1], &[0.9, 0.1]);
        let slack: Vec<f64> = golden.samples.iter().map(|sample| sample.slack).collect();
        assert_eq!(slack.len(), 3, "what is not finite is not recorded");
        assert!((slack[0] - 0.05).abs() < 1e-12);
        assert!((slack[1] - 0.0009).abs() < 1e-12 && (slack[2] - 0.0009).abs() < 1e-12);
    }

    #[test]
    fn the_file_is_what_servers_read() {
        let mut golden = GoldenSamples::default();
        golden.record(vec![tensor("x", "[1,2]")], tensor("y", "[0.5,0.5]"), &[0.5, 0.5], &[0.5, 0.5]);
        assert_eq!(
            serde_json::to_string(&golden).unwrap(),
            r#"{"version":1,"samples":[{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}],"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[0.5,0.5]}],"slack":0.0005}]}"#
        );
    }
}
