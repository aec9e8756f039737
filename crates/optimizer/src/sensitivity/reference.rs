//! The float model's answers, kept so that memory does not grow with them.

use std::io;
use std::path::Path;

use super::measure::{Answer, Decisions, Distance};
use super::spool::{Spool, Spooled};
use super::{Deviation, Measure};

/// What other models' answers are compared with.
pub(super) struct Reference {
    pub(super) measure: Measure,
    /// How many rows of scores there are.
    pub(super) decisions: usize,
    shapes: Vec<Vec<usize>>,
    /// The classes of rows, or the values, whichever are compared.
    kept: Spooled,
}

/// Answers on their way into a [`Reference`].
pub(super) struct Recorder {
    asked: Option<Measure>,
    are_decided: bool,
    decisions: usize,
    shapes: Vec<Vec<usize>>,
    /// What each row decides for, while that may be what is compared.
    classes: Option<Spool>,
    /// The values, while those may be.
    values: Option<Spool>,
}

impl Recorder {
    /// Records for a measure, or for the one that fits; what is compared waits in unnamed files in a folder.
    pub(super) fn new(asked: Option<Measure>, folder: &Path) -> io::Result<Self> {
        let spool = |measure| {
            let may_be_compared = asked.is_none_or(|asked| asked == measure);
            may_be_compared.then(|| Spool::new(folder)).transpose()
        };
        let (classes, values) = (spool(Measure::Disagreement)?, spool(Measure::RelativeError)?);
        Ok(Self { asked, are_decided: true, decisions: 0, shapes: Vec::new(), classes, values })
    }

    /// Takes the answer to the next sample.
    pub(super) fn add(&mut self, answer: Answer) -> io::Result<()> {
        self.are_decided &= answer.is_decided();
        if self.asked.is_none() && !self.are_decided {
            self.classes = None;
        }
        let classes = answer.classes();
        self.decisions += classes.len();
        if let Some(spool) = &mut self.classes {
            spool.add_classes(&classes)?;
        }
        if let Some(spool) = &mut self.values {
            spool.add_values(&answer.values)?;
        }
        self.shapes.push(answer.shape);
        Ok(())
    }

    /// The answers, to be compared by what was asked for, or else by disagreement where every row of each is a distribution
    /// of probabilities.
    pub(super) fn finish(self) -> io::Result<Reference> {
        let Self { asked, are_decided, decisions, shapes, classes, values } = self;
        let fitting = if are_decided { Measure::Disagreement } else { Measure::RelativeError };
        let measure = asked.unwrap_or(fitting);
        let kept = match measure {
            Measure::Disagreement => classes,
            Measure::RelativeError => values,
        };
        let kept = kept.expect("what may be compared is kept").finish()?;
        Ok(Reference { measure, decisions, shapes, kept })
    }
}

impl Reference {
    /// Begins to compare another model's answers.
    pub(super) fn comparison(&self) -> Comparison<'_> {
        Comparison { reference: self, decisions: Decisions::default(), distance: Distance::default() }
    }
}

/// Another model's answers against the reference.
pub(super) struct Comparison<'a> {
    reference: &'a Reference,
    decisions: Decisions,
    distance: Distance,
}

impl Comparison<'_> {
    /// Compares the answer to one sample, which is known by its place in the data.
    pub(super) fn add(&mut self, sample: usize, place: usize, found: &Answer) -> io::Result<()> {
        let Reference { measure, shapes, kept, decisions: _ } = self.reference;
        let shape = &shapes[sample];
        match measure {
            Measure::Disagreement => self.decisions.add(shape, &kept.classes(sample)?, found),
            Measure::RelativeError => {
                let float = Answer { shape: shape.clone(), values: kept.values(sample)? };
                self.distance.add(place, &float, found);
            }
        }
        Ok(())
    }

    /// How far the models are apart.
    pub(super) fn deviation(&self) -> Deviation {
        match self.reference.measure {
            Measure::Disagreement => self.decisions.deviation(),
            Measure::RelativeError => self.distance.deviation(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(values: &[f64]) -> Answer {
        Answer { shape: vec![1, values.len()], values: values.to_vec() }
    }

    fn reference(asked: Option<Measure>, answers: &[&[f64]]) -> Reference {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(asked, folder.path()).unwrap();
        for values in answers {
            recorder.add(answer(values)).unwrap();
        }
        recorder.finish().unwrap()
    }

    #[test]
    fn the_measure_is_what_fits_every_answer_or_what_was_asked_for() {
        let sure: &[f64] = &[0.75, 0.25];
        let other: &[f64] = &[3.0, 4.0];
        assert_eq!(reference(None, &[sure, sure]).measure, Measure::Disagreement);
        assert_eq!(reference(None, &[sure, other]).measure, Measure::RelativeError);
        for asked in [Measure::Disagreement, Measure::RelativeError] {
            let reference = reference(Some(asked), &[sure, other]);
            assert_eq!((reference.measure, reference.decisions), (asked, 2));
        }
    }

    #[test]
    fn values_come_back_to_the_bit_in_any_order() {
        let kept = reference(Some(Measure::RelativeError), &[&[0.1, -3e-310], &[5.0], &[1e300, 2.0, 7.0]]);
        for (sample, values) in [(2, &[1e300, 2.0, 7.0][..]), (0, &[0.1, -3e-310]), (1, &[5.0])] {
            let mut comparison = kept.comparison();
            comparison.add(sample, sample, &answer(values)).unwrap();
            assert_eq!(comparison.deviation(), Deviation::Measured(0.0));
        }
    }
}
