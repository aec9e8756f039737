//! External data where no initializer of the main graph holds it.

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::proto::tensor_proto::DataLocation;
use slipway_model::onnx::proto::{FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto};

use super::FileError;

/// Bytes that may move from other files into the model file.
const MOST: u64 = 256 << 20;

/// Moves external data of subgraphs, attributes and functions into the message, since the output has files
/// of its own.
pub(crate) fn embed(
    model: &OnnxModel,
    graph: &mut GraphProto,
    functions: &mut [FunctionProto],
) -> Result<(), FileError> {
    let mut embedder = Embedder { model, left: MOST };
    embedder.sparse(&mut graph.sparse_initializer)?;
    embedder.nodes(&mut graph.node)?;
    functions.iter_mut().try_for_each(|function| embedder.nodes(&mut function.node))
}

/// Reads a whole tensor into its message.
pub(super) fn inline(model: &OnnxModel, tensor: &mut TensorProto) -> Result<(), FileError> {
    let payload = model.payload(tensor)?;
    let read = |source| FileError::Read { tensor: tensor.name().to_owned(), source };
    let mut bytes = vec![0; usize::try_from(payload.len()).unwrap_or(usize::MAX)];
    payload.open().map_err(read)?.read_at(&mut bytes, 0).map_err(read)?;
    tensor.raw_data = Some(bytes.into());
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

struct Embedder<'a> {
    model: &'a OnnxModel,
    left: u64,
}

impl Embedder<'_> {
    fn nodes(&mut self, nodes: &mut [NodeProto]) -> Result<(), FileError> {
        for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
            self.sparse(attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors))?;
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                self.tensor(tensor)?;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                graph.initializer.iter_mut().try_for_each(|tensor| self.tensor(tensor))?;
                self.sparse(&mut graph.sparse_initializer)?;
                self.nodes(&mut graph.node)?;
            }
        }
        Ok(())
    }

    fn sparse<'s>(
        &mut self,
        tensors: impl IntoIterator<Item = &'s mut SparseTensorProto>,
    ) -> Result<(), FileError> {
        let parts = |tensor: &'s mut SparseTensorProto| tensor.values.iter_mut().chain(&mut tensor.indices);
        tensors.into_iter().flat_map(parts).try_for_each(|tensor| self.tensor(tensor))
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), FileError> {
        if tensor.data_location() != DataLocation::External {
            return Ok(());
        }
        let bytes = self.model.payload(tensor)?.len();
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| FileError::NestedExternalData { tensor: tensor.name().to_owned(), bytes })?;
        inline(self.model, tensor)
    }
}
