//! How far the answers of a quantized model are from those of the float model.

use serde::{Deserialize, Serialize};

use super::Deviation;
use crate::evaluate::{Top1, top1};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    /// The share of rows along the output's last axis whose highest score has another place.
    Disagreement,
    /// The root of the squared distance as a share of the root of the squared answers, over all samples.
    RelativeError,
}

/// One output for one sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

impl Answer {
    /// Scores of one decision each; nothing where there is nothing to decide.
    fn rows(&self) -> Option<std::slice::ChunksExact<'_, f64>> {
        let classes = self.shape.last().copied().filter(|classes| *classes > 1 && self.shape.len() > 1)?;
        Some(self.values.chunks_exact(classes))
    }

    /// What each row of scores decides for; nothing where a score is NaN or infinite.
    pub(super) fn classes(&self) -> Vec<Option<usize>> {
        let class = |scores| match top1(scores) {
            Top1::Class { index, tied: _ } => Some(index),
            Top1::NonFinite => None,
        };
        self.rows().into_iter().flatten().map(class).collect()
    }

    /// Whether every row is a distribution of probabilities.
    pub(super) fn is_decided(&self) -> bool {
        self.rows().is_some_and(|mut rows| rows.all(is_distribution))
    }
}

fn is_distribution(row: &[f64]) -> bool {
    /// A sum of a thousand single-precision probabilities is off by less.
    const ROUNDING: f64 = 1e-3;
    row.iter().all(|score| (0.0..=1.0).contains(score)) && (row.iter().sum::<f64>() - 1.0).abs() < ROUNDING
}

/// Decisions of two models, compared sample by sample.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    rows: u64,
    other: u64,
}

impl Decisions {
    /// Compares what a float model decided with an answer.
    pub(super) fn add(&mut self, shape: &[usize], float: &[Option<usize>], found: &Answer) {
        let ours = if shape == found.shape { found.classes() } else { Vec::new() };
        let agrees =
            |row: usize| ours.get(row).copied().flatten().is_some_and(|ours| float[row] == Some(ours));
        self.rows += float.len() as u64;
        self.other += (0..float.len()).filter(|row| !agrees(*row)).count() as u64;
    }

    /// The share of decisions that differ.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(super) fn deviation(&self) -> Deviation {
        Deviation::Measured(self.other as f64 / self.rows.max(1) as f64)
    }
}

/// The distance between two models' answers, sample by sample.
#[derive(Debug, Default)]
pub(super) struct Distance {
    error: f64,
    size: f64,
    problem: Option<String>,
}

impl Distance {
    /// Compares an answer of a float model with another to the same sample, which is known by its place in the data.
    pub(super) fn add(&mut self, place: usize, float: &Answer, found: &Answer) {
        if self.problem.is_some() {
            return;
        }
        if float.shape != found.shape {
            let (ours, theirs) = (&found.shape, &float.shape);
            self.problem =
                Some(format!("an answer has the shape {ours:?} instead of {theirs:?} for sample {place}"));
        } else if !found.values.iter().all(|value| value.is_finite()) {
            self.problem = Some(format!("an answer is NaN or infinite for sample {place}"));
        }
        self.size += float.values.iter().map(|value| value * value).sum::<f64>();
        let pairs = float.values.iter().zip(&found.values);
        self.error += pairs.map(|(float, found)| (float - found).powi(2)).sum::<f64>();
    }

    /// How far the models are apart.
    pub(super) fn deviation(&self) -> Deviation {
        let unknown = |reason: &str| Deviation::Unknown { reason: reason.to_owned() };
        match &self.problem {
            Some(problem) => unknown(problem),
            None if self.error == 0.0 => Deviation::Measured(0.0),
            None if self.size == 0.0 => unknown("every answer of the float model is zero"),
            None => {
                let share = (self.error / self.size).sqrt();
                let too_large = || unknown("answers are too large to be squared");
                if share.is_finite() { Deviation::Measured(share) } else { too_large() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(shape: &[usize], values: &[f64]) -> Answer {
        Answer { shape: shape.to_vec(), values: values.to_vec() }
    }

    fn disagreement(float: &Answer, found: &Answer) -> f64 {
        let mut decisions = Decisions::default();
        decisions.add(&float.shape, &float.classes(), found);
        decisions.deviation().value().unwrap()
    }

    fn error(float: &Answer, found: &Answer) -> Deviation {
        let mut distance = Distance::default();
        distance.add(7, float, found);
        distance.deviation()
    }

    #[test]
    fn probabilities_are_decided_and_other_numbers_compared() {
        assert!(answer(&[1, 2, 2], &[0.9, 0.1, 0.5, 0.5]).is_decided());
        for other in [
            answer(&[1, 2], &[0.9, 0.2]),
            answer(&[1, 2], &[1.5, -0.5]),
            answer(&[2, 1], &[1.0, 1.0]),
            answer(&[2], &[0.5, 0.5]),
            answer(&[1, 2], &[f64::NAN, 1.0]),
        ] {
            assert!(!other.is_decided(), "{other:?}");
        }
    }

    #[test]
    fn every_row_is_a_decision_and_errors_are_relative() {
        let float = answer(&[2, 2], &[3.0, 0.0, 0.0, 4.0]);
        assert_eq!(error(&float, &float), Deviation::Measured(0.0));
        assert!(disagreement(&float, &float) < f64::EPSILON);
        let found = answer(&[2, 2], &[0.0, 3.0, 0.0, 4.0]);
        assert!((disagreement(&float, &found) - 0.5).abs() < 1e-12);
        assert!((error(&float, &found).value().unwrap() - (18.0_f64 / 25.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_or_has_another_shape_is_as_far_as_can_be_and_told() {
        let float = answer(&[1, 2], &[3.0, 4.0]);
        let zeros = answer(&[1, 2], &[0.0, 0.0]);
        let large = answer(&[1, 2], &[1e300, 0.0]);
        for (float, found, words) in [
            (&float, &answer(&[1, 2], &[f64::NAN, 4.0]), "NaN or infinite for sample 7"),
            (&float, &answer(&[1, 2], &[3.0, f64::INFINITY]), "NaN or infinite for sample 7"),
            (&float, &answer(&[1, 3], &[3.0, 4.0, 0.0]), "the shape [1, 3] instead of [1, 2] for sample 7"),
            (&zeros, &float, "every answer of the float model is zero"),
            (&large, &zeros, "too large to be squared"),
        ] {
            let deviation = error(float, found);
            assert!(deviation.to_string().contains(words), "{deviation}");
            assert!(deviation.or_infinite().is_infinite());
        }
        assert!((disagreement(&float, &answer(&[1, 2], &[f64::NAN, 4.0])) - 1.0).abs() < 1e-12);
        assert!((disagreement(&float, &answer(&[1, 3], &[3.0, 4.0, 0.0])) - 1.0).abs() < 1e-12);
        assert_eq!(error(&zeros, &zeros), Deviation::Measured(0.0));
    }
}
