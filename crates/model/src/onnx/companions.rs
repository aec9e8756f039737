//! The files that a model keeps tensors in, told before they are there.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::error::OnnxError;
use super::graph::{all_graphs, attribute_tensors, graph_tensors, nodes};
use super::open::{Limits, read};
use super::proto::tensor_proto::DataLocation;
use super::proto::{ModelProto, TensorProto};

/// The files that a model keeps tensors in, relative to its own folder, each once; they need not exist.
///
/// A location that leaves the folder is left out: opening the model refuses it.
///
/// # Errors
/// A file that cannot be read or is no ONNX.
pub fn companions(model: &Path) -> Result<BTreeSet<String>, OnnxError> {
    let (_, proto) = read(model, Limits::default())?;
    Ok(tensors(&proto).filter_map(location).collect())
}

fn tensors(model: &ModelProto) -> impl Iterator<Item = &TensorProto> {
    let initializers = all_graphs(model).flat_map(graph_tensors);
    initializers.chain(nodes(model).into_iter().flat_map(attribute_tensors).map(|(_, tensor)| tensor))
}

/// Where a tensor lies, without `.` parts; nothing for one in the model's own file, or outside its folder.
fn location(tensor: &TensorProto) -> Option<String> {
    let is_external = tensor.data_location() == DataLocation::External;
    let entry = tensor.external_data.iter().find(|pair| is_external && pair.key() == "location")?;
    let parts = Path::new(entry.value()).components().filter(|part| *part != Component::CurDir);
    let names = parts.map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let names: Vec<_> = names.collect::<Option<_>>()?;
    (!names.is_empty()).then(|| names.join("/"))
}
