//! Opening a model file.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memmap2::Mmap;
use prost::Message;

use super::check::check_model;
use super::error::OnnxError;
use super::graph::nodes;
use super::proto::{GraphProto, ModelProto, TensorProto};
use super::wire::check_wire;
use super::{OnnxFacts, OperatorId, Payload, facts};
use crate::sniff::{FileFormat, HEAD, sniff};

/// The most that a model file may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the model file itself, external data aside.
    pub file_bytes: u64,
    /// Bytes of memory for everything but tensors' values: nodes, attributes with their lists, names, descriptions.
    pub structure_bytes: u64,
    /// Bytes of memory for what tensors keep in typed fields and cannot be read in place: integers of any width, and
    /// floats of 16 bits or fewer. Other floats are read from the file like raw data, and cost nothing.
    pub value_bytes: u64,
}

impl Limits {
    /// For who streams a model's weights and promises that memory does not grow with them: 16 MiB of values.
    pub const STREAMED: Self = Self { value_bytes: 16 << 20, ..Self::USUAL };

    const USUAL: Self = Self { file_bytes: 1 << 31, structure_bytes: 512 << 20, value_bytes: 256 << 20 };
}

impl Default for Limits {
    /// 2 GiB, where protobuf itself ends, 512 MiB of structure and 256 MiB of values.
    fn default() -> Self {
        Self::USUAL
    }
}

/// An ONNX model whose structure is in memory and whose weights are still in its files.
///
/// The file is mapped for as long as the model lives; nobody may shorten it
/// meanwhile. Every tensor has passed the checks of this module.
#[derive(Debug)]
pub struct OnnxModel {
    path: PathBuf,
    map: Bytes,
    proto: ModelProto,
}

impl OnnxModel {
    /// Opens and checks a model with the default [`Limits`].
    ///
    /// # Errors
    /// See [`OnnxError`]; nothing in the file can make this panic.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OnnxError> {
        Self::open_with(path, Limits::default())
    }

    /// Opens and checks a model with limits of the caller's choice.
    ///
    /// # Errors
    /// See [`OnnxError`]; nothing in the file can make this panic.
    pub fn open_with(path: impl AsRef<Path>, limits: Limits) -> Result<Self, OnnxError> {
        let path = path.as_ref().to_path_buf();
        let (map, proto) = read(&path, limits)?;
        let model = Self { path, map, proto };
        check_model(&model.proto, model.folder())?;
        Ok(model)
    }

    /// The model file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that external data is relative to.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// The decoded message; `raw_data` fields are views of the mapped file.
    ///
    /// Packed floats and doubles in typed fields are the same bytes, and stand in `raw_data` too.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The main graph.
    ///
    /// # Panics
    /// Never: a model without a graph is refused on opening.
    pub fn graph(&self) -> &GraphProto {
        self.proto.graph.as_ref().expect("a model without a graph is refused on opening")
    }

    /// The opset of ONNX's own domain, `0` when it is not imported.
    pub fn opset(&self) -> i64 {
        let own = |import: &&super::proto::OperatorSetIdProto| super::is_default_domain(import.domain());
        self.proto.opset_import.iter().find(own).map_or(0, super::proto::OperatorSetIdProto::version)
    }

    /// Where the bytes of one of this model's tensors lie.
    ///
    /// # Errors
    /// When external data changed since the model was opened, or the tensor has strings.
    pub fn payload(&self, tensor: &TensorProto) -> Result<Payload, OnnxError> {
        Payload::of(tensor, &self.path, self.folder(), &self.map)
    }

    /// What a person or a plan wants to know about the model.
    pub fn facts(&self) -> OnnxFacts {
        facts::facts(self)
    }

    /// Every operator the model uses, subgraphs and functions included.
    pub fn operators(&self) -> BTreeSet<OperatorId> {
        nodes(&self.proto).into_iter().map(OperatorId::of).collect()
    }

    /// The model file and every file of external data, sorted, each once.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        facts::files(self)
    }
}

/// A model file and the message in it, before any check of its tensors.
pub(super) fn read(path: &Path, limits: Limits) -> Result<(Bytes, ModelProto), OnnxError> {
    let map = map_file(path, limits.file_bytes)?;
    let proto = decode(&map, limits).map_err(|error| named(error, &map))?;
    Ok((map, proto))
}

fn decode(map: &Bytes, limits: Limits) -> Result<ModelProto, OnnxError> {
    let bytes = check_wire(map, limits)?;
    ModelProto::decode(bytes).map_err(|error| OnnxError::Malformed { reason: error.to_string() })
}

/// Bytes that are no ONNX may well be something else that has a name.
fn named(error: OnnxError, bytes: &[u8]) -> OnnxError {
    let head = &bytes[..bytes.len().min(HEAD)];
    match (&error, sniff(head, bytes.len() as u64)) {
        (OnnxError::Malformed { .. }, FileFormat::Onnx | FileFormat::Unknown) => error,
        (OnnxError::Malformed { .. }, format) => OnnxError::OtherFormat { format },
        _ => error,
    }
}

#[expect(unsafe_code, reason = "mapping is what makes decoding free of copies; see the comment inside")]
fn map_file(path: &Path, limit: u64) -> Result<Bytes, OnnxError> {
    let read = |source| OnnxError::Read { path: path.to_path_buf(), source };
    let metadata = std::fs::metadata(path).map_err(read)?;
    if !metadata.is_file() {
        return Err(OnnxError::NotAFile { path: path.to_path_buf() });
    }
    if metadata.len() > limit {
        return Err(OnnxError::TooLarge { bytes: metadata.len(), limit });
    }
    if metadata.len() == 0 {
        return Err(OnnxError::NotAModel { reason: "the file is empty" });
    }
    let file = File::open(path).map_err(read)?;
    // SAFETY: the map is private and read-only, and artifacts are never changed in place; whoever
    // shortens a file that is being read ends this process, and harms nobody else.
    let map = unsafe { Mmap::map(&file) }.map_err(read)?;
    Ok(Bytes::from_owner(map))
}
