//! The float model's answers, kept so that memory does not grow with them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::measure::{Answer, Decisions, Distance};
use super::{Deviation, Measure};

/// What other models' answers are compared with.
pub(super) struct Reference {
    pub(super) measure: Measure,
    /// How many rows of scores there are.
    pub(super) decisions: usize,
    samples: Vec<Sample>,
    values: Option<File>,
}

/// What is kept of one answer in memory.
struct Sample {
    shape: Vec<usize>,
    classes: Vec<Option<usize>>,
    /// Where its values begin in the file.
    start: u64,
}

/// Answers on their way into a [`Reference`].
pub(super) struct Recorder {
    asked: Option<Measure>,
    are_decided: bool,
    samples: Vec<Sample>,
    values: Option<BufWriter<File>>,
    written: u64,
}

impl Recorder {
    /// Records for a measure, or for the one that fits; values wait in an unnamed file in a folder.
    pub(super) fn new(asked: Option<Measure>, folder: &Path) -> io::Result<Self> {
        let needs_values = asked != Some(Measure::Disagreement);
        let file = || tempfile::tempfile_in(folder).map(BufWriter::new);
        let values = needs_values.then(file).transpose()?;
        Ok(Self { asked, are_decided: true, samples: Vec::new(), values, written: 0 })
    }

    /// Takes the answer to the next sample.
    pub(super) fn add(&mut self, answer: Answer) -> io::Result<()> {
        self.are_decided &= answer.is_decided();
        let start = self.written;
        if let Some(file) = &mut self.values {
            for value in &answer.values {
                file.write_all(&value.to_le_bytes())?;
            }
            self.written += 8 * answer.values.len() as u64;
        }
        let classes = answer.classes();
        self.samples.push(Sample { shape: answer.shape, classes, start });
        Ok(())
    }

    /// The answers, to be compared by what was asked for, or else by disagreement where every row of each is a distribution
    /// of probabilities.
    pub(super) fn finish(self) -> io::Result<Reference> {
        let Self { asked, are_decided, samples, values, written: _ } = self;
        let fitting = if are_decided { Measure::Disagreement } else { Measure::RelativeError };
        let measure = asked.unwrap_or(fitting);
        let values = values.filter(|_| measure == Measure::RelativeError);
        let values =
            values.map(|file| file.into_inner().map_err(io::IntoInnerError::into_error)).transpose()?;
        let decisions = samples.iter().map(|sample| sample.classes.len()).sum();
        Ok(Reference { measure, decisions, samples, values })
    }
}

impl Reference {
    /// Begins to compare another model's answers.
    pub(super) fn comparison(&self) -> Comparison<'_> {
        Comparison { reference: self, decisions: Decisions::default(), distance: Distance::default() }
    }
}

impl Sample {
    /// The answer, with its values from the file.
    fn answer(&self, file: &File) -> io::Result<Answer> {
        let mut bytes = vec![0; 8 * self.shape.iter().product::<usize>()];
        file.read_exact_at(&mut bytes, self.start)?;
        let values = bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        Ok(Answer { shape: self.shape.clone(), values })
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
        let float = &self.reference.samples[sample];
        match &self.reference.values {
            None => self.decisions.add(&float.shape, &float.classes, found),
            Some(file) => self.distance.add(place, &float.answer(file)?, found),
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
