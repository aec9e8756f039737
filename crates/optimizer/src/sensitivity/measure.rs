//! How far the answers of a quantized model are from those of the float model.

use serde::{Deserialize, Serialize};

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

impl Measure {
    /// What fits an output: disagreement where every row of it is a distribution of probabilities.
    pub(super) fn of(answers: &[Answer]) -> Self {
        let are =
            answers.iter().all(|answer| answer.rows().is_some_and(|mut rows| rows.all(is_distribution)));
        if are { Self::Disagreement } else { Self::RelativeError }
    }
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

    /// How many rows of scores there are.
    pub(super) fn decisions(&self) -> usize {
        self.rows().map_or(0, |rows| rows.len())
    }
}

fn is_distribution(row: &[f64]) -> bool {
    /// A sum of a thousand single-precision probabilities is off by less.
    const ROUNDING: f64 = 1e-3;
    row.iter().all(|score| (0.0..=1.0).contains(score)) && (row.iter().sum::<f64>() - 1.0).abs() < ROUNDING
}

/// The distance between two models' answers, sample by sample.
#[derive(Debug, Default)]
pub(super) struct Distance {
    rows: u64,
    other: u64,
    error: f64,
    size: f64,
}

impl Distance {
    pub(super) fn add(&mut self, float: &Answer, found: &Answer) {
        let same_shape = float.shape == found.shape;
        for (index, row) in float.rows().into_iter().flatten().enumerate() {
            let ours = found.values.chunks_exact(row.len()).nth(index).filter(|_| same_shape);
            self.rows += 1;
            self.other += u64::from(ours.is_none_or(|ours| !agree(row, ours)));
        }
        self.size += float.values.iter().map(|value| value * value).sum::<f64>();
        let square = |(a, b): (&f64, &f64)| (a - b).powi(2);
        self.error += if same_shape {
            float.values.iter().zip(&found.values).map(square).sum::<f64>()
        } else {
            f64::INFINITY
        };
    }

    /// How far the models are apart: 0 for the same answers, infinity where they cannot be compared.
    pub(super) fn of(&self, measure: Measure) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        match measure {
            Measure::Disagreement => share(self.other, self.rows),
            Measure::RelativeError if self.error.is_nan() => f64::INFINITY,
            Measure::RelativeError if self.error == 0.0 => 0.0,
            Measure::RelativeError => (self.error / self.size).sqrt(),
        }
    }
}

fn agree(float: &[f64], found: &[f64]) -> bool {
    let class = |scores: &[f64]| match top1(scores) {
        Top1::Class { index, tied: _ } => Some(index),
        Top1::NonFinite => None,
    };
    class(found).is_some_and(|found| class(float) == Some(found))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "shares and infinities are exact")]
mod tests {
    use super::*;

    fn answer(shape: &[usize], values: &[f64]) -> Answer {
        Answer { shape: shape.to_vec(), values: values.to_vec() }
    }

    fn distance(float: &Answer, found: &Answer) -> [f64; 2] {
        let mut distance = Distance::default();
        distance.add(float, found);
        [Measure::Disagreement, Measure::RelativeError].map(|measure| distance.of(measure))
    }

    #[test]
    fn probabilities_are_decided_and_other_numbers_compared() {
        let sure = answer(&[1, 2, 2], &[0.9, 0.1, 0.5, 0.5]);
        assert_eq!(Measure::of(std::slice::from_ref(&sure)), Measure::Disagreement);
        for other in [
            answer(&[1, 2], &[0.9, 0.2]),
            answer(&[1, 2], &[1.5, -0.5]),
            answer(&[2, 1], &[1.0, 1.0]),
            answer(&[2], &[0.5, 0.5]),
            answer(&[1, 2], &[f64::NAN, 1.0]),
        ] {
            assert_eq!(Measure::of(&[sure.clone(), other]), Measure::RelativeError);
        }
    }

    #[test]
    fn every_row_is_a_decision_and_errors_are_relative() {
        let float = answer(&[2, 2], &[3.0, 0.0, 0.0, 4.0]);
        assert_eq!(distance(&float, &float), [0.0, 0.0]);
        let [disagreement, error] = distance(&float, &answer(&[2, 2], &[0.0, 3.0, 0.0, 4.0]));
        assert!((disagreement - 0.5).abs() < 1e-12);
        assert!((error - (18.0_f64 / 25.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_or_has_another_shape_is_as_far_as_can_be() {
        let float = answer(&[1, 2], &[3.0, 4.0]);
        for found in [answer(&[1, 2], &[f64::NAN, 4.0]), answer(&[1, 3], &[3.0, 4.0, 0.0])] {
            assert_eq!(distance(&float, &found), [1.0, f64::INFINITY]);
        }
        let zeros = answer(&[1, 2], &[0.0, 0.0]);
        assert_eq!(distance(&zeros, &zeros), [0.0, 0.0]);
        assert_eq!(distance(&zeros, &float)[1], f64::INFINITY);
    }
}
