//! The data set, replayed through both models one sample at a time.

use slipway_server::NamedTensor;

use super::golden::Recorder;
use super::{DataError, EvaluateError, PredictError, Predictor, Recorded, Samples, Tally, top1};

/// What a replay needs to know beside the data.
#[derive(Debug, Clone, Copy)]
pub struct ReplayOptions<'a> {
    /// The output with one score a class.
    pub output: &'a str,
    /// Whether the samples must have labels, because accuracy is judged.
    pub needs_labels: bool,
}

/// What came out of a replay.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// The counts.
    pub tally: Tally,
    /// A few samples with the candidate's answers.
    pub recorded: Recorded,
}

/// Replays every sample through both models and counts.
///
/// Requests have one sample each, since answers of dynamically quantized models depend on what shares a batch. The candidate
/// is asked twice for the samples that are recorded. `done` is told how many samples are finished.
///
/// # Errors
/// Where the data does not fit the answers, or a model gives none; nothing is judged on part of the data.
pub async fn replay(
    samples: &Samples,
    candidate: &mut (impl Predictor + Send),
    baseline: &mut (impl Predictor + Send),
    options: ReplayOptions<'_>,
    done: impl Fn(usize) + Send,
) -> Result<Evaluation, EvaluateError> {
    let ReplayOptions { output, needs_labels } = options;
    if needs_labels && !samples.has_labels() {
        return Err(DataError::NoLabels.into());
    }
    let mut tally = Tally::default();
    let mut recorder = Recorder::new(samples.count());
    for sample in 0..samples.count() {
        let (inputs, request) = samples.request(sample)?;
        let ours = candidate.predict(&request).await?;
        let theirs = baseline.predict(&request).await?;
        count(&mut tally, samples.label(sample), sample, [&ours, &theirs], output)?;
        if recorder.wants(sample) {
            let again = candidate.predict(&request).await?;
            recorder.record(inputs, [ours, again], output);
        }
        done(sample + 1);
    }
    Ok(Evaluation { tally, recorded: recorder.finish() })
}

fn count(
    tally: &mut Tally,
    label: Option<i64>,
    sample: usize,
    [ours, theirs]: [&[NamedTensor]; 2],
    output: &str,
) -> Result<(), EvaluateError> {
    let candidate = scores("candidate", ours, output)?;
    let baseline = scores("baseline", theirs, output)?;
    if candidate.len() != baseline.len() {
        return Err(EvaluateError::Classes { candidate: candidate.len(), baseline: baseline.len() });
    }
    check_label(label, sample, candidate.len())?;
    tally.record(top1(&candidate), top1(&baseline), label);
    Ok(())
}

/// One score a class, from the answer to one sample.
fn scores(role: &'static str, outputs: &[NamedTensor], output: &str) -> Result<Vec<f64>, EvaluateError> {
    let Some(NamedTensor { name, tensor }) = outputs.iter().find(|given| given.name == output) else {
        let reason = format!("the answer lacks output {output:?}");
        return Err(PredictError::Protocol { role, reason }.into());
    };
    match tensor.shape() {
        [1, 1] => Err(PredictError::OneScore { role, output: name.clone() }.into()),
        [1, classes] if *classes > 1 => Ok(tensor.data().to_f64()),
        shape => Err(EvaluateError::Scores { role, output: name.clone(), shape: shape.to_vec() }),
    }
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
    use slipway_server::{Tensor, TensorData};

    use super::*;
    use crate::evaluate::Request;
    use crate::evaluate::dataset::tests::{bound, labelled};

    /// Answers from a list, one after the other; the last one again and again.
    struct Scripted(Vec<Tensor>);

    impl Predictor for Scripted {
        async fn predict(&mut self, _: &Request) -> Result<Vec<NamedTensor>, PredictError> {
            let tensor = if self.0.len() > 1 { self.0.remove(0) } else { self.0[0].clone() };
            Ok(vec![NamedTensor { name: "y".to_owned(), tensor }])
        }
    }

    fn answer(shape: &[usize], scores: &[f32]) -> Tensor {
        Tensor::new(shape.to_vec(), TensorData::Fp32(scores.to_vec())).unwrap()
    }

    fn scripted(answers: &[[f32; 2]]) -> Scripted {
        Scripted(answers.iter().map(|scores| answer(&[1, 2], scores)).collect())
    }

    fn run(samples: &Samples, mut ours: Scripted, mut theirs: Scripted) -> Result<Evaluation, EvaluateError> {
        let options = ReplayOptions { output: "y", needs_labels: true };
        let replay = replay(samples, &mut ours, &mut theirs, options, |_| {});
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(replay)
    }

    #[test]
    fn every_sample_is_counted_once_on_both_sides_and_a_few_are_asked_twice() {
        let samples = labelled(&[0, 1, 1]);
        // Each is recorded, so the candidate is asked for each a second time.
        let [sure, again, lost] = [[0.9, 0.1], [0.8, 0.2], [0.1, f32::NAN]];
        let ours = scripted(&[sure, again, sure, sure, lost, lost]);
        let theirs = scripted(&[[0.8, 0.2], [0.2, 0.8], [0.2, 0.8]]);
        let Evaluation { tally, recorded } = run(&samples, ours, theirs).unwrap();
        assert_eq!((tally.samples, tally.candidate_right, tally.baseline_right, tally.lost), (3, 1, 3, 2));
        assert_eq!((tally.agreed, tally.non_finite), (1, 1));
        let golden = recorded.golden.samples;
        assert_eq!(golden.len(), 2, "the answer that is not finite is not recorded");
        let output = &golden[0].outputs[0];
        assert!((output.tolerance - 0.109).abs() < 1e-6, "two runs, and not the baseline: {output:?}");
        assert_eq!((output.class, golden[0].inputs[0].name.as_str()), (Some(0), "pixels"));
    }

    #[test]
    fn answers_that_are_no_scores_are_refused() {
        let samples = labelled(&[0]);
        for (shape, scores, words) in [
            (&[2][..], &[0.9, 0.1][..], "has shape [2]"),
            (&[2, 1], &[0.9, 0.1], "has shape [2, 1]"),
            (&[1, 0], &[], "has shape [1, 0]"),
            (&[1, 1], &[0.9], "has one score a sample"),
            (&[1, 3], &[0.9, 0.1, 0.2], "gives 3 classes, the baseline 2"),
        ] {
            let ours = Scripted(vec![answer(shape, scores)]);
            let error = run(&samples, ours, scripted(&[[0.9, 0.1]])).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn labels_beyond_the_classes_are_named() {
        for label in [2, -1] {
            let answers = || scripted(&[[0.9, 0.1]]);
            let error = run(&labelled(&[label]), answers(), answers()).unwrap_err();
            let words = "is no class: the model's output has 2, and classes count from 0";
            assert_eq!(error.to_string(), format!("label {label} of sample 0 {words}"));
            assert!(error.is_data() && !error.is_retryable());
        }
    }

    #[test]
    fn accuracy_without_labels_is_refused_before_anything_runs() {
        let error = run(&bound(), scripted(&[]), scripted(&[])).unwrap_err();
        assert!(error.to_string().contains("needs labels"), "{error}");
    }
}
