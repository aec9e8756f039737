//! Everything that can go wrong while an artifact is judged.

use slipway_model::npz::NpzError;

/// Why a data set does not fit a model, or cannot be judged on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file, or an array of it, cannot be used.
    #[error(transparent)]
    File(#[from] NpzError),
    /// `inputs` names something that is no input of the model.
    #[error("the model has no input {input:?}; it takes {}", known.join(", "))]
    UnknownInput {
        /// The name under `inputs`.
        input: String,
        /// What the model takes, in its order.
        known: Vec<String>,
    },
    /// The data has no array for an input.
    #[error(
        "there is no array {array:?}; the file has {}: write `inputs: {{ {input}: ARRAY }}` (--input {input}=ARRAY) for \
         another name",
        available.join(", ")
    )]
    NoArray {
        /// The array that was looked for.
        array: String,
        /// The model input that it would go to.
        input: String,
        /// The arrays that there are, sorted.
        available: Vec<String>,
    },
    /// An array has another type than the model input.
    #[error("array {array:?} is {got}, the model's input {input:?} takes {expected}: convert it")]
    Type {
        /// The array.
        array: String,
        /// Its type.
        got: String,
        /// The model input that it goes to.
        input: String,
        /// The type that the input takes.
        expected: String,
    },
    /// An array has another shape than the model input.
    #[error("array {array:?} has shape {got:?}, the model's input {input:?} takes {expected}")]
    Shape {
        /// The array.
        array: String,
        /// Its shape; the first axis counts samples.
        got: Vec<usize>,
        /// The model input that it goes to.
        input: String,
        /// The shape that the input takes.
        expected: String,
    },
    /// A model input whose first axis is fixed to something else than one.
    #[error(
        "the model's input {input:?} has {size} as its first axis, where samples of a batch would be counted: an input with its \
         batch elsewhere, or with none, is not supported yet; export it with a dynamic batch axis in front"
    )]
    FixedBatch {
        /// The model input.
        input: String,
        /// Its first axis.
        size: usize,
    },
    /// A model input without axes.
    #[error(
        "the model's input {input:?} is one number for all samples of a batch, which is not supported yet: make it a constant \
         of the model"
    )]
    NoBatch {
        /// The model input.
        input: String,
    },
    /// A sample that the arrays do not have.
    #[error("sample {sample} cannot be read")]
    Sample {
        /// Position of the sample.
        sample: usize,
    },
    /// Labels that are not one whole number a sample.
    #[error("labels {array:?} are {got}, expected one integer a sample")]
    Labels {
        /// The array.
        array: String,
        /// Its type and shape.
        got: String,
    },
    /// Lengths that are not one whole number a sample.
    #[error("lengths {array:?} are {got}, expected one integer a sample")]
    Lengths {
        /// The array.
        array: String,
        /// Its type and shape.
        got: String,
    },
    /// A length that the sample does not have.
    #[error(
        "length {length} of sample {sample} in {array:?} is not from 1 to {most}, the size of axis {axis} that it cuts"
    )]
    Length {
        /// The array.
        array: String,
        /// Position of the sample.
        sample: usize,
        /// The length.
        length: i64,
        /// The longest that there may be.
        most: usize,
        /// The axis of the samples' array.
        axis: usize,
    },
    /// Lengths for an input whose samples all have one shape.
    #[error("the model's input {input:?} leaves no axis but the batch open: leave its `lengths` out")]
    NoOpenAxis {
        /// The model input.
        input: String,
    },
    /// A label that is no class of the model.
    #[error(
        "label {label} of sample {sample} is no class: the model's output has {classes}, and classes count from 0"
    )]
    LabelRange {
        /// The label.
        label: i64,
        /// Position of the sample.
        sample: usize,
        /// How many classes the output has.
        classes: usize,
    },
    /// Accuracy is to be judged and there are no labels.
    #[error("accuracy needs labels: name the array that holds them in the data set's `labels`")]
    NoLabels,
    /// There is nothing to judge on.
    #[error("the data set has no samples")]
    Empty,
}

impl DataError {
    /// As it is told of an array for a model input.
    pub(super) fn for_input(self, input: &str) -> Self {
        match self {
            Self::File(NpzError::NoSuchArray { array, available }) => {
                Self::NoArray { array, input: input.to_owned(), available }
            }
            other => other,
        }
    }
}

/// Why a model gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The server cannot be reached, or broke the connection.
    #[error("the {role} server does not answer")]
    Unreachable {
        /// Which model: candidate or baseline.
        role: &'static str,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
    /// The server refused the request.
    #[error("the {role} server answered {status}: {message}")]
    Refused {
        /// Which model: candidate or baseline.
        role: &'static str,
        /// The HTTP status.
        status: u16,
        /// The error in the answer.
        message: String,
    },
    /// The answer is not what the protocol says.
    #[error("the {role} server broke the protocol: {reason}")]
    Protocol {
        /// Which model: candidate or baseline.
        role: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The model has no such output.
    #[error("the {role} has no output {output:?}; it gives {}", known.join(", "))]
    NoOutput {
        /// Which model: candidate or baseline.
        role: &'static str,
        /// The output that was asked for.
        output: String,
        /// What the model gives, in its order.
        known: Vec<String>,
    },
    /// The output holds words, such as the name of the class, where scores are needed.
    #[error(
        "output {output:?} of the {role} holds text (BYTES), not scores: name one of numbers; {}",
        others(numbers)
    )]
    Text {
        /// Which model: candidate or baseline.
        role: &'static str,
        /// The output that was asked for.
        output: String,
        /// Outputs of numbers, in the model's order.
        numbers: Vec<String>,
    },
    /// The output has one score a sample, so every model agrees with every other and is right wherever the label is 0.
    #[error(
        "output {output:?} of the {role} has one score a sample, and the highest of one is always the same: a model of \
         two classes has to give a score for each, [1 - p, p]; a regression cannot be judged yet, so leave its output \
         out of evaluate, or the gate out of the object"
    )]
    OneScore {
        /// Which model: candidate or baseline.
        role: &'static str,
        /// The output that was asked for.
        output: String,
    },
}

fn others(numbers: &[String]) -> String {
    if numbers.is_empty() {
        "the model gives none".into()
    } else {
        format!("it gives {}", numbers.join(", "))
    }
}

/// Why an artifact could not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The data does not fit.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model gave no answer.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// An output is not one score a class.
    #[error(
        "output {output:?} of the {role} has shape {shape:?}, and classification, the only task that can be judged, needs \
         one score a class: [1, classes]"
    )]
    Scores {
        /// Which model: candidate or baseline.
        role: &'static str,
        /// The output.
        output: String,
        /// The shape for one sample.
        shape: Vec<usize>,
    },
    /// The two models do not tell the same number of classes apart.
    #[error("the candidate gives {candidate} classes, the baseline {baseline}")]
    Classes {
        /// Scores of the candidate.
        candidate: usize,
        /// Scores of the baseline.
        baseline: usize,
    },
}

impl EvaluateError {
    /// Whether trying again may help: only what stands between us and the servers can fail for a passing reason.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Predict(PredictError::Unreachable { .. }) => true,
            Self::Predict(PredictError::Refused { status, .. }) => *status >= 500,
            Self::Predict(_) | Self::Data(_) | Self::Scores { .. } | Self::Classes { .. } => false,
        }
    }

    /// Whether the data set is to blame.
    pub fn is_data(&self) -> bool {
        matches!(self, Self::Data(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_failed_is_asked_again_and_one_that_refused_is_not() {
        for (status, again) in [(499, false), (400, false), (500, true), (503, true)] {
            let message = String::new();
            let refused = PredictError::Refused { role: "candidate", status, message };
            assert_eq!(EvaluateError::from(refused).is_retryable(), again, "{status}");
        }
    }
}
