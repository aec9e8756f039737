//! Editing ONNX graphs: finding what stands behind a name, and changing nodes without losing any.
//!
//! What is here knows nothing of quantization. A stage decides on an unchanged model with
//! [`Scopes`], changes it with [`rewrite`], and drops what it left unused with [`prune`].

mod adapt;
mod functions;
mod names;
mod node;
mod opset;
mod prune;
mod scope;
mod tensor;
mod to_17;
mod uses;

pub(crate) use functions::inline_functions;
pub(crate) use names::Names;
pub(crate) use node::{node, node_name};
pub(crate) use opset::{opset, raise, raise_ir, raise_to_13, reaches_11, refuse_old, use_domain};
pub(crate) use prune::{prune, prune_descriptions};
pub(crate) use scope::{GraphId, Operand, Scopes, Source, Unresolved, holds_floats, is_float, rewrite};
pub(crate) use slipway_model::onnx::attribute::{
    attribute, flag, float, float_or, int, int_or, ints, ints_of, tensor as tensor_attribute, text,
};
pub(crate) use slipway_model::onnx::{CONTRIB, Types, is_contrib_gelu};
pub(crate) use tensor::{float_tensor, header, int_list, int_scalar, int8_zeros, open_value, value_info};
pub(crate) use to_17::{raise_to_17, reaches_17};
