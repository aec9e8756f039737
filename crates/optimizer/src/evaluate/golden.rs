//! Recording golden samples: a few requests with all of the candidate's outputs, replayed by a serving pod before it says ready.

mod room;

use slipway_server::golden::{GoldenOutput, GoldenSample, GoldenSamples};
use slipway_server::{DataType, NamedTensor, Tensor};

use super::{Top1, top1};
use room::Bytes;

/// How many samples are recorded, where they fit.
const COUNT: usize = 8;
/// What engines and processors may round otherwise, as a share of the largest element of an output.
///
/// Floats differ by less than a thousandth of it. Between two processors an activation at the edge of two integers may fall on
/// either, and each that does moves the output by about a thousandth; this leaves room for a few.
const ROUNDING: f64 = 1e-2;

/// Picks samples and keeps as many as a server reads.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    /// Samples of the data set.
    of: usize,
    /// How many of them are asked for.
    count: usize,
    /// Bytes that are left.
    room: Bytes,
    /// Why the last sample that did not fit did not.
    refused: Option<String>,
    golden: GoldenSamples,
}

/// What was recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// The samples; none where not even one fits.
    pub golden: GoldenSamples,
    /// Why a sample did not fit.
    pub refused: Option<String>,
}

impl Recorded {
    /// How many there are and, where that is none, why.
    pub fn words(&self) -> String {
        match (self.golden.samples.len(), &self.refused) {
            (0, Some(reason)) => format!("no golden sample, so pods do not check themselves: {reason}"),
            (count, _) => format!("{count} golden"),
        }
    }
}

impl Recorder {
    pub(super) fn new(of: usize) -> Self {
        Self { of, count: COUNT.min(of), room: Bytes::MOST, refused: None, golden: GoldenSamples::default() }
    }

    /// Whether a sample is one of those that are recorded: spread evenly over the data set, the first among them.
    pub(super) fn wants(&self, sample: usize) -> bool {
        (0..self.count).any(|index| index * self.of / self.count == sample)
    }

    /// Records what the candidate answered to a sample, in two runs.
    ///
    /// What the runs differ by, and a share for rounding, is what a pod's answer may differ by. Where one class of the
    /// judged output leads by more than twice that, a pod's answer has to have it too; where none does, the other may
    /// well win, and outputs that have to be equal, which may follow the class, are not recorded. An answer whose judged
    /// output is not finite is not recorded.
    pub(super) fn record(
        &mut self,
        inputs: Vec<NamedTensor>,
        [first, second]: [Vec<NamedTensor>; 2],
        judged: &str,
    ) {
        let outputs = first.into_iter().zip(&second).map(|(ours, again)| output(ours, &again.tensor, judged));
        let Some(mut outputs) = outputs.collect::<Option<Vec<_>>>() else { return };
        if outputs.iter().any(|output| output.name == judged && output.class.is_none()) {
            outputs.retain(|output| output.name == judged || !is_exact(output.tensor.datatype()));
        }
        let sample = GoldenSample { inputs, outputs };
        match Bytes::of(&sample) {
            Ok(bytes) => self.keep(sample, bytes),
            Err(reason) => self.refused = Some(reason),
        }
    }

    /// Keeps a sample where there is room for it.
    fn keep(&mut self, sample: GoldenSample, bytes: Bytes) {
        let fits = self.room.fits(bytes);
        if fits == 0 {
            return;
        }
        if self.golden.samples.is_empty() {
            // Samples of one size: fewer, but still spread, where eight do not fit.
            self.count = self.count.min(usize::try_from(fits).unwrap_or(usize::MAX));
        }
        self.room.elements -= bytes.elements;
        self.room.head -= bytes.head;
        self.golden.samples.push(sample);
    }

    pub(super) fn finish(self) -> Recorded {
        Recorded { golden: self.golden, refused: self.refused }
    }
}

/// One output of two runs; nothing where they cannot be compared, or the judged one is not finite.
fn output(ours: NamedTensor, again: &Tensor, judged: &str) -> Option<GoldenOutput> {
    let NamedTensor { name, tensor } = ours;
    if (tensor.datatype(), tensor.shape()) != (again.datatype(), again.shape()) {
        return None;
    }
    let (values, others) = (tensor.data().to_f64(), again.data().to_f64());
    let moved = values.iter().zip(&others).map(|(one, other)| (one - other).abs());
    let moved = moved.filter(|difference| difference.is_finite()).fold(0.0_f64, f64::max);
    let tolerance = moved + rounding(&tensor, &values);
    let class = if name == judged {
        match top1(&values) {
            Top1::NonFinite => return None,
            Top1::Class { index, .. } => leads(&values, index, 2.0 * tolerance).then_some(index),
        }
    } else {
        None
    };
    Some(GoldenOutput { name, tensor, tolerance, class })
}

/// Whether the highest score is higher than every other by more than a margin.
fn leads(scores: &[f64], class: usize, margin: f64) -> bool {
    let others = scores.iter().enumerate().filter(|(place, _)| *place != class);
    let next = others.map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max);
    scores[class] - next > margin
}

/// What rounding may change: nothing where elements count or name something.
fn rounding(tensor: &Tensor, values: &[f64]) -> f64 {
    if is_exact(tensor.datatype()) {
        return 0.0;
    }
    let finite = values.iter().filter(|value| value.is_finite());
    finite.fold(0.0_f64, |largest, value| largest.max(value.abs())) * ROUNDING
}

/// Whether elements of a type count or name something.
fn is_exact(datatype: DataType) -> bool {
    match datatype {
        DataType::Bool | DataType::Int32 | DataType::Int64 | DataType::Bytes => true,
        DataType::Int8 | DataType::UInt8 | DataType::Fp16 | DataType::Fp32 | DataType::Fp64 => false,
    }
}

#[cfg(test)]
mod tests {
    use slipway_server::TensorData;
    use slipway_server::golden::MAX_TENSOR_BYTES;

    use super::*;

    fn named(name: &str, data: TensorData) -> NamedTensor {
        NamedTensor { name: name.to_owned(), tensor: Tensor::new(vec![1, data.len()], data).unwrap() }
    }

    fn floats(name: &str, values: &[f32]) -> NamedTensor {
        named(name, TensorData::Fp32(values.to_vec()))
    }

    /// The one output of two runs.
    fn recorded(first: NamedTensor, second: NamedTensor) -> Option<GoldenOutput> {
        let mut recorder = Recorder::new(1);
        recorder.record(Vec::new(), [vec![first], vec![second]], "p");
        Some(recorder.finish().golden.samples.pop()?.outputs.remove(0))
    }

    #[test]
    fn samples_are_spread_over_the_data() {
        let chosen = |count| {
            let recorder = Recorder::new(count);
            (0..count).filter(|sample| recorder.wants(*sample)).collect::<Vec<_>>()
        };
        assert_eq!(chosen(720), [0, 90, 180, 270, 360, 450, 540, 630]);
        assert_eq!(chosen(3), [0, 1, 2]);
        assert_eq!(chosen(0), Vec::<usize>::new());
    }

    #[test]
    fn what_may_differ_is_what_two_runs_differ_by_and_a_share_for_rounding() {
        let near =
            |value: f64, wanted: f64| assert!((value - wanted).abs() < 1e-7, "{value} is not {wanted}");
        let same = recorded(floats("p", &[0.8, 0.2]), floats("p", &[0.8, 0.2])).unwrap();
        near(same.tolerance, 0.008);
        let moved = recorded(floats("p", &[0.8, 0.2]), floats("p", &[0.7, 0.3])).unwrap();
        near(moved.tolerance, 0.108);
        let infinite = [f32::NEG_INFINITY, 2.0];
        near(recorded(floats("mask", &infinite), floats("mask", &infinite)).unwrap().tolerance, 0.02);
        let labels = || named("label", TensorData::Int64(vec![30_000]));
        near(recorded(labels(), labels()).unwrap().tolerance, 0.0);
    }

    #[test]
    fn the_class_is_recorded_where_it_leads() {
        let class =
            |first: &[f32], second: &[f32]| recorded(floats("p", first), floats("p", second)).unwrap().class;
        assert_eq!(class(&[0.1, 0.5, 0.4], &[0.1, 0.5, 0.4]), Some(1));
        assert_eq!(class(&[0.2, 0.4, 0.4], &[0.2, 0.4, 0.4]), None, "it is tied");
        assert_eq!(class(&[0.1, 0.5, 0.4], &[0.1, 0.3, 0.6]), None, "the runs differ by more than its lead");
        assert_eq!(class(&[0.495, 0.505], &[0.495, 0.505]), None, "each may move by as much as its lead");
        assert_eq!(class(&[0.49, 0.51], &[0.49, 0.51]), Some(1));
        let other = recorded(floats("embedding", &[0.1, 0.9]), floats("embedding", &[0.1, 0.9])).unwrap();
        assert_eq!(other.class, None, "what is not judged has no classes");
    }

    #[test]
    fn what_a_class_that_does_not_lead_may_change_is_not_compared() {
        let outputs = |scores: [f32; 2]| {
            let answer = || {
                vec![
                    named("label", TensorData::Int64(vec![0])),
                    named("word", TensorData::Bytes(vec!["cat".into()])),
                    floats("p", &scores),
                    floats("embedding", &[1.0]),
                ]
            };
            let mut recorder = Recorder::new(1);
            recorder.record(Vec::new(), [answer(), answer()], "p");
            let sample = recorder.finish().golden.samples.remove(0);
            sample.outputs.into_iter().map(|output| output.name).collect::<Vec<_>>()
        };
        assert_eq!(outputs([0.9, 0.1]), ["label", "word", "p", "embedding"]);
        assert_eq!(outputs([0.500_01, 0.499_99]), ["p", "embedding"]);
    }

    #[test]
    fn fewer_samples_are_kept_where_their_names_and_shapes_take_the_room() {
        let keep = |outputs: usize| {
            let mut recorder = Recorder::new(80);
            for sample in 0..80 {
                if recorder.wants(sample) {
                    let names = (0..outputs).map(|output| format!("{output:0>100}"));
                    let answer: Vec<_> = names.map(|name| floats(&name, &[0.5])).collect();
                    recorder.record(Vec::new(), [answer.clone(), answer], "p");
                }
            }
            recorder.finish()
        };
        let some = keep(1500);
        assert!((2..8).contains(&some.golden.samples.len()), "{}", some.words());
        assert!(some.golden.to_bytes().is_ok(), "a server reads it");
        let none = keep(8000);
        assert!(none.golden.samples.is_empty());
        assert!(none.words().ends_with("the names and shapes of one take too much room"), "{}", none.words());
    }

    #[test]
    fn an_answer_that_cannot_be_compared_is_not_recorded() {
        assert_eq!(recorded(floats("p", &[f32::NAN, 0.1]), floats("p", &[0.9, 0.1])), None);
        assert_eq!(recorded(floats("p", &[0.9, 0.1]), floats("p", &[0.9])), None);
    }

    #[test]
    fn as_many_are_kept_as_a_server_reads_and_they_stay_spread() {
        let keep = |bytes: usize| {
            let mut recorder = Recorder::new(80);
            let mut kept = Vec::new();
            for sample in 0..80 {
                if recorder.wants(sample) {
                    let input = named("x", TensorData::UInt8(vec![0; bytes]));
                    let answer = || vec![floats("p", &[0.9, 0.1])];
                    recorder.record(vec![input], [answer(), answer()], "p");
                    kept.push(sample);
                }
            }
            (kept, recorder.finish())
        };
        let third = usize::try_from(MAX_TENSOR_BYTES).unwrap() / 3 - 8;
        let (asked, recorded) = keep(third);
        assert_eq!((asked, recorded.golden.samples.len()), (vec![0, 26, 53], 3));
        assert_eq!(recorded.words(), "3 golden");
        assert!(recorded.golden.to_bytes().is_ok(), "a server reads it");

        let (_, none) = keep(usize::try_from(MAX_TENSOR_BYTES).unwrap());
        assert!(none.golden.samples.is_empty());
        assert!(none.words().starts_with("no golden sample, so pods do not check themselves: one takes "));
    }
}
