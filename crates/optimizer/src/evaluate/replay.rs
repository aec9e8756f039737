//! The data set, replayed through both models one sample at a time.

use super::{
    DataError, EvaluateError, GoldenSamples, PredictError, Predictor, Samples, Tally, WireTensor, top1,
};

/// What a replay needs to know beside the data.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayOptions {
    /// Whether the samples must have labels, because accuracy is judged.
    pub needs_labels: bool,
}

/// What came out of a replay.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// The counts.
    pub tally: Tally,
    /// A few samples with the candidate's answers.
    pub golden: GoldenSamples,
}

/// Replays every sample through both models and counts.
///
/// Requests have one sample each, since answers of dynamically quantized models depend on what shares a batch. `done` is
/// told how many samples are finished.
///
/// # Errors
/// Where the data does not fit the answers, or a model gives none; nothing is judged on part of the data.
pub async fn replay(
    samples: &Samples,
    candidate: &mut (impl Predictor + Send),
    baseline: &mut (impl Predictor + Send),
    options: ReplayOptions,
    done: impl Fn(usize) + Send,
) -> Result<Evaluation, EvaluateError> {
    if options.needs_labels && !samples.has_labels() {
        return Err(DataError::NoLabels.into());
    }
    let mut evaluation = Evaluation::default();
    for sample in 0..samples.count() {
        let Some(inputs) = samples.request(sample) else { break };
        let ours = candidate.predict(&inputs).await?;
        let theirs = baseline.predict(&inputs).await?;
        evaluation.count(samples, sample, inputs, ours, &theirs)?;
        done(sample + 1);
    }
    Ok(evaluation)
}

impl Evaluation {
    fn count(
        &mut self,
        samples: &Samples,
        sample: usize,
        inputs: Vec<WireTensor>,
        ours: WireTensor,
        theirs: &WireTensor,
    ) -> Result<(), EvaluateError> {
        let candidate = scores("candidate", &ours)?;
        let baseline = scores("baseline", theirs)?;
        if candidate.len() != baseline.len() {
            return Err(EvaluateError::Classes { candidate: candidate.len(), baseline: baseline.len() });
        }
        let label = samples.label(sample);
        check_label(label, sample, candidate.len())?;
        self.tally.record(top1(&candidate), top1(&baseline), label);
        if GoldenSamples::wants(sample, samples.count()) {
            self.golden.record(inputs, ours, &candidate, &baseline);
        }
        Ok(())
    }
}

/// One score a class, from an output for one sample.
fn scores(role: &'static str, output: &WireTensor) -> Result<Vec<f64>, EvaluateError> {
    if !matches!(output.shape[..], [1, classes] if classes > 0) {
        let (output, shape) = (output.name.clone(), output.shape.clone());
        return Err(EvaluateError::Scores { role, output, shape });
    }
    output.values().map_err(|reason| PredictError::Protocol { role, reason }.into())
}

fn check_label(label: Option<i64>, sample: usize, classes: usize) -> Result<(), DataError> {
    match label {
        Some(label) if usize::try_from(label).is_ok_and(|label| label < classes) => Ok(()),
        Some(label) => Err(DataError::LabelRange { label, sample, classes }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::evaluate::Datatype;
    use crate::evaluate::dataset::tests::{bound, labelled};

    /// Answers from a list, one after the other.
    struct Scripted(std::vec::IntoIter<(Vec<usize>, &'static str)>);

    impl Predictor for Scripted {
        async fn predict(&mut self, inputs: &[WireTensor]) -> Result<WireTensor, PredictError> {
            assert_eq!(inputs[0].shape, [1, 2]);
            let (shape, data) = self.0.next().unwrap();
            let data = RawValue::from_string(data.to_owned()).unwrap();
            Ok(WireTensor { name: "y".to_owned(), datatype: Datatype::Fp32, shape, data })
        }
    }

    fn scripted(answers: &[&'static str], shape: &[usize]) -> Scripted {
        Scripted(answers.iter().map(|data| (shape.to_vec(), *data)).collect::<Vec<_>>().into_iter())
    }

    fn run(samples: &Samples, ours: Scripted, theirs: Scripted) -> Result<Evaluation, EvaluateError> {
        let (mut ours, mut theirs) = (ours, theirs);
        let options = ReplayOptions { needs_labels: true };
        let replay = replay(samples, &mut ours, &mut theirs, options, |_| {});
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(replay)
    }

    #[test]
    fn every_sample_is_counted_once_on_both_sides() {
        let samples = labelled(&[0, 1, 1]);
        let ours = scripted(&["[0.9,0.1]", "[0.9,0.1]", "[0.1,null]"], &[1, 2]);
        let theirs = scripted(&["[0.8,0.2]", "[0.2,0.8]", "[0.2,0.8]"], &[1, 2]);
        let Evaluation { tally, golden } = run(&samples, ours, theirs).unwrap();
        assert_eq!((tally.samples, tally.candidate_right, tally.baseline_right, tally.lost), (3, 1, 3, 2));
        assert_eq!((tally.agreed, tally.non_finite), (1, 1));
        assert_eq!(golden.samples.len(), 2, "the answer that is not finite is not recorded");
        assert!((golden.samples[0].slack - 0.1).abs() < 1e-9);
    }

    #[test]
    fn answers_that_are_no_scores_are_refused() {
        let samples = labelled(&[0]);
        for (shape, data, words) in [
            (&[2][..], "[0.9,0.1]", "has shape [2]"),
            (&[2, 1], "[0.9,0.1]", "has shape [2, 1]"),
            (&[1, 0], "[]", "has shape [1, 0]"),
            (&[1, 3], "[0.9,0.1]", "broke the protocol"),
            (&[1, 3], "[0.9,0.1,0.2]", "gives 3 classes, the baseline 2"),
        ] {
            let error =
                run(&samples, scripted(&[data], shape), scripted(&["[0.9,0.1]"], &[1, 2])).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn labels_beyond_the_classes_are_named() {
        for label in [2, -1] {
            let answers = || scripted(&["[0.9,0.1]"], &[1, 2]);
            let error = run(&labelled(&[label]), answers(), answers()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "label {label} of sample 0 is no class: the model's output has 2, and they count from 0"
                )
            );
            assert!(error.is_data() && !error.is_retryable());
        }
    }

    #[test]
    fn accuracy_without_labels_is_refused_before_anything_runs() {
        let error = run(&bound(), scripted(&[], &[]), scripted(&[], &[])).unwrap_err();
        assert!(error.to_string().contains("needs labels"), "{error}");
    }
}
