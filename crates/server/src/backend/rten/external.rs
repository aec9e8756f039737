//! External data as rten takes it: it goes by the file's name, and needs offset and length where ONNX allows neither.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slipway_model::onnx::ExternalData;
use slipway_model::onnx::proto::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};

use super::super::LoadError;

/// A model whose external data has names that rten takes.
pub(super) struct Renamed {
    /// The model.
    pub(super) model: ModelProto,
    /// Each file of external data by its new name.
    pub(super) files: BTreeMap<String, PathBuf>,
    /// Whether rten finds every file under its old name too.
    pub(super) found: bool,
}

impl Renamed {
    pub(super) fn of(mut model: ModelProto, folder: &Path) -> Result<Self, LoadError> {
        let mut files = Files { folder, names: BTreeMap::new(), found: true };
        if let Some(graph) = &mut model.graph {
            files.rename(graph)?;
        }
        let Files { names, found, folder: _ } = files;
        Ok(Self { model, files: names.into_iter().map(|(path, name)| (name, path)).collect(), found })
    }
}

struct Files<'a> {
    folder: &'a Path,
    names: BTreeMap<PathBuf, String>,
    found: bool,
}

impl Files<'_> {
    fn rename(&mut self, graph: &mut GraphProto) -> Result<(), LoadError> {
        for tensor in &mut graph.initializer {
            self.rename_one(tensor)?;
        }
        for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                self.rename_one(tensor)?;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                self.rename(graph)?;
            }
        }
        Ok(())
    }

    fn rename_one(&mut self, tensor: &mut TensorProto) -> Result<(), LoadError> {
        if tensor.external_data.is_empty() {
            return Ok(());
        }
        self.found &= found_by_rten(tensor);
        let resolved = ExternalData::resolve(self.folder, tensor);
        let ExternalData { path, offset, length } =
            resolved.map_err(|problem| LoadError::Invalid(format!("{}: {problem}", tensor.name())))?;
        let count = self.names.len();
        let name = self.names.entry(path).or_insert_with(|| format!("{count}.data"));
        let place =
            [("location", name.clone()), ("offset", offset.to_string()), ("length", length.to_string())];
        let entry = |(key, value): (&str, String)| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        tensor.external_data = place.map(entry).to_vec();
        Ok(())
    }
}

/// Whether rten opens a tensor's file by itself: a plain name with a usual ending, and both numbers.
fn found_by_rten(tensor: &TensorProto) -> bool {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key() == key);
    let Some(location) = entry("location") else { return false };
    let path = Path::new(location.value());
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    path.components().count() == 1
        && (end.starts_with("data") || end.starts_with("onnx_data"))
        && entry("offset").is_some()
        && entry("length").is_some()
}
