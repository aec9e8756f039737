//! ONNX files: decoding, limits, facts and external data.
//!
//! [`OnnxModel::open`] maps a file, decodes its structure without copying the
//! weights, and checks every tensor before anyone may use it. [`proto`] is the
//! public schema, [`OnnxFacts`] what a person or a plan wants to know.

pub mod attribute;
pub mod proto;

mod check;
mod companions;
mod data_type;
mod error;
mod external;
mod facts;
mod graph;
mod open;
mod overlap;
mod patched;
mod payload;
mod reader;
mod types;
mod wire;

#[cfg(any(test, feature = "testing"))]
pub mod build;

pub use companions::companions;
pub use data_type::DataType;
pub use error::{OnnxError, TensorProblem};
pub use external::ExternalData;
pub use facts::{Dim, OnnxFacts, OperatorId, TensorTotals, ValueFacts};
pub use graph::{
    CONTRIB, attribute_tensors, graphs, is_contrib_float, is_contrib_gelu, is_default_domain, is_pointwise,
    subgraphs, subgraphs_mut,
};
pub use open::{Limits, OnnxModel};
pub use payload::{Payload, PayloadFile, float_values};
pub use types::Types;
