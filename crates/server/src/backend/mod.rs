//! What runs a model: one trait, one file an engine.

mod choice;
mod declared;
mod error;
#[cfg(not(target_feature = "crt-static"))]
mod onnxruntime;
mod rten;

pub use choice::{BackendChoice, EngineOptions};
pub(crate) use choice::{check, load};
pub use declared::declared_inputs;
pub use error::{LoadError, RunError};
pub use rten::unsupported_operators;

use crate::tensor::{DataType, Tensor};

/// An input or output as the model file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the model.
    pub name: String,
    /// Its element type as the model declares it, whatever the engine computes in.
    pub datatype: DataType,
    /// Its dimensions, `None` where one varies; nothing where the model does not declare even the rank.
    pub shape: Option<Vec<Option<usize>>>,
}

impl TensorSpec {
    /// Whether the first dimension exists and varies.
    pub fn has_dynamic_leading_axis(&self) -> bool {
        matches!(self.shape.as_deref(), Some([None, ..]))
    }

    /// Whether a shape fits the declared one.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        let Some(declared) = &self.shape else { return true };
        declared.len() == shape.len()
            && declared.iter().zip(shape).all(|(want, got)| want.is_none_or(|want| want == *got))
    }

    /// The shape in the protocol's form: `-1` where a dimension varies.
    pub fn protocol_shape(&self) -> Vec<i64> {
        let Some(declared) = &self.shape else { return vec![-1] };
        declared.iter().map(|size| size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1)).collect()
    }
}

/// An engine with one model in it.
///
/// Calls of `run` may come from any thread; a caller that makes many of them makes them inside `on_worker`, where
/// they cost no hand-over between threads.
pub trait Backend: Send + Sync + 'static {
    /// Name of the engine, such as `rten`.
    fn name(&self) -> &'static str;

    /// Version of the engine, such as `0.27.0`.
    fn version(&self) -> &str;

    /// The model's inputs, in its own order.
    fn inputs(&self) -> &[TensorSpec];

    /// The model's outputs, in its own order.
    fn outputs(&self) -> &[TensorSpec];

    /// Computes every output. The tensors are one for each input, in order, and fit their specs.
    ///
    /// # Errors
    /// Where the values cannot be processed, or the engine fails.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError>;

    /// As `run`, for the outputs at these places alone, in the order asked for; others need not be computed.
    ///
    /// # Errors
    /// As `run`.
    fn run_some(&self, inputs: Vec<Tensor>, places: &[usize]) -> Result<Vec<Tensor>, RunError> {
        let all = self.run(inputs)?;
        Ok(places.iter().filter_map(|place| all.get(*place).cloned()).collect())
    }

    /// Runs a piece of work on a thread from which `run` is cheapest, and waits for it.
    fn on_worker(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }
}
