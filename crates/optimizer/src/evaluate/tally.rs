//! Classification, counted: which class has the highest score, and who was right.

use serde::{Deserialize, Serialize};
use slipway_kernels::stats::{Paired, Proportion};

/// The class with the highest score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Top1 {
    /// One class; the lowest of those that share the highest score.
    Class {
        /// Position of the class.
        index: usize,
        /// Whether another class has the same score.
        tied: bool,
    },
    /// A score is NaN or infinite, or there is none: there is no answer.
    NonFinite,
}

/// The class with the highest of some scores.
pub fn top1(scores: &[f64]) -> Top1 {
    if scores.is_empty() || scores.iter().any(|score| !score.is_finite()) {
        return Top1::NonFinite;
    }
    let (mut index, mut tied) = (0, false);
    for (position, score) in scores.iter().enumerate().skip(1) {
        if *score > scores[index] {
            (index, tied) = (position, false);
        } else if *score >= scores[index] {
            tied = true;
        }
    }
    Top1::Class { index, tied }
}

/// What two models answered to the same samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Samples.
    pub samples: u64,
    /// Samples with a label.
    pub labelled: u64,
    /// Labelled samples that the candidate got right.
    pub candidate_right: u64,
    /// Labelled samples that the baseline got right.
    pub baseline_right: u64,
    /// Labelled samples that only the baseline got right.
    pub lost: u64,
    /// Labelled samples that only the candidate got right, where the baseline gave an answer at all.
    pub gained: u64,
    /// Samples to which both gave the same class.
    pub agreed: u64,
    /// Samples where classes of the candidate shared the highest score; the lowest one counts.
    pub ties: u64,
    /// Samples where a score of the candidate was NaN or infinite: not right, and in agreement with nothing.
    pub non_finite: u64,
    /// Those of them with a label: what is neither right nor a wrong class.
    pub labelled_non_finite: u64,
    /// Samples where a score of the baseline was NaN or infinite: not right, and in agreement with nothing.
    pub baseline_non_finite: u64,
}

impl Tally {
    /// Counts one sample.
    pub fn record(&mut self, candidate: Top1, baseline: Top1, label: Option<i64>) {
        self.samples += 1;
        let class = |answer| match answer {
            Top1::Class { index, .. } => Some(index),
            Top1::NonFinite => None,
        };
        let (ours, theirs) = (class(candidate), class(baseline));
        self.ties += u64::from(matches!(candidate, Top1::Class { tied: true, .. }));
        self.non_finite += u64::from(ours.is_none());
        self.baseline_non_finite += u64::from(theirs.is_none());
        self.agreed += u64::from(ours.is_some() && ours == theirs);
        if let Some(label) = label {
            self.count_labelled(ours, theirs, label);
        }
    }

    fn count_labelled(&mut self, ours: Option<usize>, theirs: Option<usize>, label: i64) {
        let is_right = |class: Option<usize>| class.is_some_and(|class| i64::try_from(class) == Ok(label));
        let (candidate, baseline) = (is_right(ours), is_right(theirs));
        self.labelled += 1;
        self.labelled_non_finite += u64::from(ours.is_none());
        self.candidate_right += u64::from(candidate);
        self.baseline_right += u64::from(baseline);
        self.lost += u64::from(baseline && !candidate);
        self.gained += u64::from(candidate && !baseline && theirs.is_some());
    }

    /// The candidate's accuracy; nothing without labels.
    pub fn accuracy(&self) -> Option<Proportion> {
        Proportion::new(self.candidate_right, self.labelled)
    }

    /// The baseline's accuracy; nothing without labels.
    pub fn baseline_accuracy(&self) -> Option<Proportion> {
        Proportion::new(self.baseline_right, self.labelled)
    }

    /// What was lost and gained; nothing without labels.
    pub fn paired(&self) -> Option<Paired> {
        Paired::new(self.lost, self.gained, self.labelled)
    }

    /// How often both gave the same class; nothing without samples.
    pub fn agreement(&self) -> Option<Proportion> {
        Proportion::new(self.agreed, self.samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(index: usize) -> Top1 {
        Top1::Class { index, tied: false }
    }

    #[test]
    fn ties_go_to_the_lowest_class_and_are_told() {
        assert_eq!(top1(&[0.1, 0.4, 0.4, 0.1]), Top1::Class { index: 1, tied: true });
        assert_eq!(top1(&[0.4, 0.4, 0.5]), class(2));
        assert_eq!(top1(&[-1.0]), class(0));
        assert_eq!(top1(&[0.0, -0.0]), Top1::Class { index: 0, tied: true });
    }

    #[test]
    fn what_is_no_number_is_no_answer() {
        for scores in [&[][..], &[f64::NAN, 1.0], &[f64::INFINITY, 0.0], &[0.0, f64::NEG_INFINITY]] {
            assert_eq!(top1(scores), Top1::NonFinite);
        }
    }

    #[test]
    fn every_kind_of_sample_is_counted_where_it_belongs() {
        let mut tally = Tally::default();
        tally.record(class(1), class(1), Some(1));
        tally.record(class(2), class(1), Some(1));
        tally.record(class(1), class(2), Some(1));
        tally.record(class(3), class(3), Some(1));
        tally.record(Top1::NonFinite, class(1), Some(1));
        tally.record(Top1::NonFinite, Top1::NonFinite, None);
        tally.record(Top1::Class { index: 0, tied: true }, class(0), Some(-1));
        let expected = Tally {
            samples: 7,
            labelled: 6,
            candidate_right: 2,
            baseline_right: 3,
            lost: 2,
            gained: 1,
            agreed: 3,
            ties: 1,
            non_finite: 2,
            labelled_non_finite: 1,
            baseline_non_finite: 1,
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn what_the_baseline_did_not_answer_is_no_gain() {
        let mut tally = Tally::default();
        tally.record(class(1), Top1::NonFinite, Some(1));
        assert_eq!((tally.gained, tally.baseline_non_finite, tally.candidate_right), (0, 1, 1));
    }

    #[test]
    fn without_labels_there_is_no_accuracy() {
        let mut tally = Tally::default();
        tally.record(class(1), class(1), None);
        assert_eq!((tally.accuracy(), tally.paired()), (None, None));
        assert_eq!(tally.agreement(), Proportion::new(1, 1));
    }
}
