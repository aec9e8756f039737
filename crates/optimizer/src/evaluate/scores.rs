//! Which outputs hold scores that can be judged.

use slipway_model::onnx::{Dim, ValueFacts};
use slipway_server::DataType;

use super::{PredictError, TensorSpec};

/// Refuses an output that the model does not give, that can hold no scores, or that has one score a sample; others may be of
/// any type.
pub(super) fn check_scores(
    outputs: &[TensorSpec],
    role: &'static str,
    output: &str,
) -> Result<(), PredictError> {
    let names = |wanted: fn(&TensorSpec) -> bool| {
        outputs.iter().filter(|spec| wanted(spec)).map(|spec| spec.name.clone()).collect()
    };
    let found = outputs.iter().find(|spec| spec.name == output);
    let output = output.to_owned();
    match found {
        None => Err(PredictError::NoOutput { role, output, known: names(|_| true) }),
        Some(spec) if spec.datatype == DataType::Bytes => {
            Err(PredictError::Text { role, output, numbers: names(|spec| spec.datatype != DataType::Bytes) })
        }
        Some(spec) if matches!(spec.shape[..], [_, 1]) => Err(PredictError::OneScore { role, output }),
        Some(_) => Ok(()),
    }
}

/// Refuses an output that cannot be judged, by what a model's file declares.
///
/// # Errors
/// [`PredictError::NoOutput`], [`PredictError::Text`], [`PredictError::OneScore`].
pub fn check_declared_scores(
    outputs: &[ValueFacts],
    role: &'static str,
    output: &str,
) -> Result<(), PredictError> {
    let size = |dim: &Dim| if let Dim::Fixed(size) = dim { *size } else { -1 };
    let spec = |value: &ValueFacts| TensorSpec {
        name: value.name.clone(),
        // All that matters here is whether it holds numbers.
        datatype: if value.data_type == "string" { DataType::Bytes } else { DataType::Fp32 },
        shape: value.dims.as_ref().map_or_else(|| vec![-1], |dims| dims.iter().map(size).collect()),
    };
    check_scores(&outputs.iter().map(spec).collect::<Vec<_>>(), role, output)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server says of a classifier from scikit-learn, and one output more.
    fn forest() -> [TensorSpec; 3] {
        let spec = |name: &str, datatype, shape: &[i64]| TensorSpec {
            name: name.to_owned(),
            datatype,
            shape: shape.to_vec(),
        };
        [
            spec("output_label", DataType::Bytes, &[-1]),
            spec("output_probability", DataType::Fp32, &[-1, 3]),
            spec("p", DataType::Fp32, &[-1, 1]),
        ]
    }

    #[test]
    fn an_output_of_words_is_in_nobodys_way_beside_the_scores() {
        check_scores(&forest(), "candidate", "output_probability").unwrap();
    }

    #[test]
    fn outputs_without_scores_are_refused_and_those_that_have_some_are_named() {
        let refusal = |output| check_scores(&forest(), "candidate", output).unwrap_err();
        let words = "output \"output_label\" of the candidate holds text (BYTES), not scores: name one of numbers; \
                     it gives output_probability, p";
        assert_eq!(refusal("output_label").to_string(), words);
        let words = "the candidate has no output \"scores\"; it gives output_label, output_probability, p";
        assert_eq!(refusal("scores").to_string(), words);
        let one = refusal("p");
        assert!(matches!(&one, PredictError::OneScore { output, .. } if output == "p"), "{one}");
    }

    #[test]
    fn what_a_file_declares_is_refused_by_the_same_rules() {
        let value = |name: &str, data_type: &str, dims| ValueFacts {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            dims,
        };
        let batch = || Dim::Symbol("n".to_owned());
        let outputs = [
            value("y", "float", Some(vec![batch(), Dim::Fixed(1)])),
            value("label", "string", Some(vec![batch()])),
            value("scores", "unknown", None),
        ];
        let check = |output| check_declared_scores(&outputs, "source", output);
        assert!(check("scores").is_ok(), "what the file does not say may be right");
        assert!(matches!(check("y"), Err(PredictError::OneScore { .. })));
        assert!(matches!(check("label"), Err(PredictError::Text { .. })));
        assert!(matches!(check("absent"), Err(PredictError::NoOutput { .. })));
    }
}
