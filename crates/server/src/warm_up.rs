//! Trying a model before it serves: an engine may load what it then cannot compute.

use crate::backend::{RunError, TensorSpec};
use crate::engine::Engine;
use crate::tensor::{Tensor, TensorData, element_count};

/// Sizes of open axes that every model is tried with.
const SIZES: [usize; 2] = [1, 2];
/// Sizes that are tried where the model refuses the smaller ones, as convolutions over open heights and widths do.
const LARGER_SIZES: [usize; 10] = [4, 8, 16, 32, 64, 128, 224, 256, 512, 640];
/// Ranks that are tried for inputs that declare none, the usual ones first.
const RANKS: [usize; 5] = [2, 1, 3, 4, 0];
/// Most elements of one made-up input.
const MOST_ELEMENTS: usize = 1 << 26;

/// The model computed none of the inputs that were made up for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model computes no input that was tried, the first of shape {shapes}: {error}")]
pub struct WarmUpError {
    shapes: String,
    error: RunError,
}

impl WarmUpError {
    /// Whether the engine broke, whatever the input was.
    pub fn is_of_the_engine(&self) -> bool {
        !matches!(self.error, RunError::Input(_) | RunError::UnknownValue(_))
    }

    /// Whether the model knows no value of the kind that was made up, which tells nothing of the engine.
    fn is_of_a_value(&self) -> bool {
        matches!(self.error, RunError::UnknownValue(_))
    }
}

/// Elements of a made-up input. Ones come first: zeros are no divisors, steps or lengths.
#[derive(Clone, Copy)]
enum Fill {
    Ones,
    Zeros,
}

/// Sizes of what a model leaves open.
#[derive(Clone, Copy)]
struct Sizes {
    leading: usize,
    others: usize,
    rank: usize,
}

impl Engine {
    /// Computes made-up inputs: each at its declared sizes, open axes at 1 and at 2, of ones and else of zeros. Where the
    /// model refuses all of these, its open axes behind the first are tried at larger sizes, the smallest first.
    ///
    /// # Errors
    /// Where no input was computed, with what was said to the first, unless that was of a value which the model was not
    /// trained with; at once where the engine fails or crashes. Inputs that are declared too large to be made up are no error.
    pub fn warm_up(&self) -> Result<(), WarmUpError> {
        let mut refusal = None;
        let mut computes = |sizes: Sizes| match self.attempt(sizes) {
            Ok(is_computed) => Ok(is_computed),
            Err(error) if error.is_of_the_engine() => Err(error),
            Err(error) => {
                tracing::debug!(%error, "a made-up input was refused");
                refusal.get_or_insert(error);
                Ok(false)
            }
        };
        let mut computed = false;
        for sizes in self.usual_sizes() {
            computed |= computes(sizes)?;
        }
        for sizes in self.larger_sizes() {
            computed = computed || computes(sizes)?;
        }
        match refusal {
            Some(error) if !computed && !error.is_of_a_value() => Err(error),
            _ => Ok(()),
        }
    }

    fn usual_sizes(&self) -> Vec<Sizes> {
        let ranks =
            if self.inputs().iter().any(|spec| spec.shape.is_none()) { &RANKS[..] } else { &RANKS[..1] };
        let sizes = if self.has_open_sizes() { &SIZES[..] } else { &SIZES[..1] };
        let sizes_of =
            |rank: usize| sizes.iter().map(move |&size| Sizes { leading: size, others: size, rank });
        ranks.iter().flat_map(|rank| sizes_of(*rank)).collect()
    }

    fn larger_sizes(&self) -> Vec<Sizes> {
        let sizes = LARGER_SIZES.into_iter().map(|others| Sizes { leading: 1, others, rank: RANKS[0] });
        if self.has_open_sizes() { sizes.collect() } else { Vec::new() }
    }

    fn has_open_sizes(&self) -> bool {
        let is_open = |spec: &TensorSpec| spec.shape.as_ref().is_none_or(|shape| shape.contains(&None));
        self.inputs().iter().any(is_open)
    }

    /// Ones, and zeros where ones are refused; whether there was room to make them up.
    fn attempt(&self, sizes: Sizes) -> Result<bool, WarmUpError> {
        let run = |fill| {
            let inputs: Option<Vec<_>> =
                self.inputs().iter().map(|spec| made_up(spec, sizes, fill)).collect();
            let Some(inputs) = inputs else {
                tracing::warn!(
                    most = MOST_ELEMENTS,
                    "an input has more elements than are made up to try a model"
                );
                return Ok(false);
            };
            let shapes: Vec<_> = inputs.iter().map(|tensor| format!("{:?}", tensor.shape())).collect();
            self.run(inputs).map(|_| true).map_err(|error| WarmUpError { shapes: shapes.join(", "), error })
        };
        match run(Fill::Ones) {
            Err(error) if !error.is_of_the_engine() => run(Fill::Zeros).map_err(|_| error),
            outcome => outcome,
        }
    }
}

/// A tensor for an input; nothing where it would be too large.
fn made_up(spec: &TensorSpec, sizes: Sizes, fill: Fill) -> Option<Tensor> {
    let Sizes { leading, others, rank } = sizes;
    let unknown = vec![None; rank];
    let declared = spec.shape.as_ref().unwrap_or(&unknown);
    let open = |axis: usize| if axis == 0 { leading } else { others };
    let shape: Vec<usize> =
        declared.iter().enumerate().map(|(axis, size)| size.unwrap_or_else(|| open(axis))).collect();
    let count = element_count(&shape).filter(|count| *count <= MOST_ELEMENTS)?;
    let data = match fill {
        Fill::Ones => TensorData::ones(spec.datatype, count),
        Fill::Zeros => TensorData::zeros(spec.datatype, count),
    };
    Tensor::new(shape, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::tensor::DataType;

    /// A model of one input that refuses, fails or crashes as it is told by the sizes of its input.
    struct Picky {
        specs: Vec<TensorSpec>,
        answer: fn(&[usize]) -> Result<(), RunError>,
    }

    impl Backend for Picky {
        fn name(&self) -> &'static str {
            "picky"
        }
        fn version(&self) -> &'static str {
            "0"
        }
        fn inputs(&self) -> &[TensorSpec] {
            &self.specs
        }
        fn outputs(&self) -> &[TensorSpec] {
            &[]
        }
        fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
            (self.answer)(inputs[0].shape()).map(|()| Vec::new())
        }
    }

    fn warm_up(
        shape: Option<Vec<Option<usize>>>,
        answer: fn(&[usize]) -> Result<(), RunError>,
    ) -> Result<(), WarmUpError> {
        let specs = vec![TensorSpec { name: "x".to_owned(), datatype: DataType::Fp32, shape }];
        Engine::from_backend(Box::new(Picky { specs, answer })).warm_up()
    }

    fn refused<T>() -> Result<T, RunError> {
        Err(RunError::Input("too small".to_owned()))
    }

    #[test]
    fn model_that_refuses_its_declared_sizes_is_unfit_and_the_first_words_are_told() {
        let error = warm_up(Some(vec![Some(3), Some(4)]), |_| refused()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model computes no input that was tried, the first of shape [3, 4]: too small"
        );
        assert!(!error.is_of_the_engine());
    }

    #[test]
    fn model_that_knows_no_made_up_value_may_be_fit() {
        let unknown = |_: &[usize]| Err(RunError::UnknownValue("no such colour".to_owned()));
        assert_eq!(warm_up(Some(vec![Some(3)]), unknown), Ok(()));
    }

    #[test]
    fn input_that_is_too_large_to_be_made_up_is_no_refusal() {
        assert_eq!(warm_up(Some(vec![Some(1 << 20), Some(1 << 10)]), |_| refused()), Ok(()));
    }

    #[test]
    fn sizes_that_are_too_large_to_be_made_up_make_up_for_no_refusal() {
        assert!(warm_up(Some(vec![None; 5]), |_| refused()).is_err());
    }

    #[test]
    fn one_size_that_is_computed_is_enough_for_open_axes() {
        let open = || Some(vec![None, Some(3), None, None]);
        let at_least = |shape: &[usize]| if shape[2] >= 32 { Ok(()) } else { refused() };
        assert_eq!(warm_up(open(), at_least), Ok(()));
        let single = |shape: &[usize]| if shape[0] == 1 { Ok(()) } else { refused() };
        assert_eq!(warm_up(Some(vec![None, Some(3)]), single), Ok(()));
        let never = |shape: &[usize]| if shape[2] > 640 { Ok(()) } else { refused() };
        assert!(warm_up(open(), never).is_err());
        let of_three_axes = |shape: &[usize]| if shape.len() == 3 { Ok(()) } else { refused() };
        assert_eq!(warm_up(None, of_three_axes), Ok(()));
    }

    #[test]
    fn failing_engine_is_never_made_up_for_by_another_size() {
        let at_two = |shape: &[usize]| {
            if shape[0] == 2 { Err(RunError::Engine("broken".to_owned())) } else { Ok(()) }
        };
        let error = warm_up(Some(vec![None]), at_two).unwrap_err();
        assert!(
            error.is_of_the_engine()
                && error.to_string().ends_with("of shape [2]: the engine failed: broken")
        );
        let crash = |shape: &[usize]| if shape[0] == 2 { panic!("as told") } else { Ok(()) };
        assert!(warm_up(Some(vec![None]), crash).unwrap_err().is_of_the_engine());
    }
}
