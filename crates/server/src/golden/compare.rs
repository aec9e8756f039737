//! How far two tensors are apart.

use crate::tensor::{Tensor, TensorData};

/// Position and size of the largest difference of two tensors of one type and shape.
///
/// NaN counts as larger than any number, two NaN as equal. Strings that differ do so without limit.
pub(super) fn largest_difference(want: &Tensor, got: &Tensor) -> (usize, f64) {
    if let (TensorData::Bytes(want), TensorData::Bytes(got)) = (want.data(), got.data()) {
        let other = want.iter().zip(got).position(|(want, got)| want != got);
        return other.map_or((0, 0.0), |element| (element, f64::INFINITY));
    }
    let (want, got) = (want.data().to_f64(), got.data().to_f64());
    let differences = want.iter().zip(&got).map(|(&want, &got)| {
        let equal = want.is_nan() && got.is_nan() || want.total_cmp(&got).is_eq();
        // The sign of a NaN says nothing, and a negative one would be the smallest.
        if equal { 0.0 } else { (want - got).abs() }
    });
    differences.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// Whether no element is higher than this one.
pub(super) fn has_highest_at(scores: &Tensor, class: usize) -> bool {
    let scores = scores.data().to_f64();
    let highest = |score: f64| scores.iter().all(|other| *other <= score);
    scores.get(class).is_some_and(|score| highest(*score))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(values: &[f32]) -> Tensor {
        Tensor::new(vec![values.len()], TensorData::Fp32(values.to_vec())).unwrap()
    }

    #[test]
    fn difference_of_a_number_and_not_a_number_is_never_within_tolerance() {
        for nan in [f32::NAN, -f32::NAN] {
            let (element, difference) =
                largest_difference(&floats(&[0.0, 1.0, 2.0]), &floats(&[9.0, nan, 2.0]));
            assert_eq!(element, 1);
            assert!(difference.is_nan());
            assert_eq!(largest_difference(&floats(&[f32::NAN]), &floats(&[nan])), (0, 0.0));
        }
    }

    #[test]
    fn infinities_are_equal_to_themselves_alone() {
        let infinite = floats(&[f32::NEG_INFINITY]);
        assert_eq!(largest_difference(&infinite, &infinite), (0, 0.0));
        assert_eq!(largest_difference(&infinite, &floats(&[f32::INFINITY])), (0, f64::INFINITY));
        assert_eq!(largest_difference(&infinite, &floats(&[f32::MIN])), (0, f64::INFINITY));
        assert!(largest_difference(&infinite, &floats(&[f32::NAN])).1.is_nan());
    }

    #[test]
    fn strings_are_equal_or_beyond_any_tolerance() {
        let labels = |second: &'static str| {
            Tensor::new(vec![2], TensorData::Bytes(vec!["cat".into(), second.into()])).unwrap()
        };
        assert_eq!(largest_difference(&labels("dog"), &labels("dog")), (0, 0.0));
        assert_eq!(largest_difference(&labels("dog"), &labels("cow")), (1, f64::INFINITY));
    }

    #[test]
    fn the_highest_may_be_shared_and_is_never_beside_a_nan() {
        assert!(has_highest_at(&floats(&[0.1, 0.4, 0.4]), 2));
        assert!(!has_highest_at(&floats(&[0.1, 0.4, 0.5]), 1));
        assert!(!has_highest_at(&floats(&[f32::NAN, 0.4]), 1));
        assert!(!has_highest_at(&floats(&[0.4]), 1));
    }
}
