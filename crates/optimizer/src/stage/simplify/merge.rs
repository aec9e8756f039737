//! Values that are there twice.

use std::collections::{HashMap, HashSet};

use prost::Message;
use slipway_api::sha256_hex;
use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use slipway_model::onnx::{OnnxModel, Payload, is_default_domain, subgraphs, subgraphs_mut};

use super::rename::Renames;
use crate::file::FileError;

/// Bytes that are compared before a whole tensor is digested.
const BEGINNING: u64 = 1024;

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// Operators whose outputs differ from call to call.
const RANDOM: [&str; 7] = [
    "Bernoulli",
    "Dropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
];

/// Finds initializers with the same content; remembers what it digested.
#[derive(Default)]
pub(super) struct Digests(HashMap<String, String>);

impl Digests {
    /// Lets one of all initializers with the same content stand for them; how many went.
    ///
    /// Contents are the same when type, dimensions and bytes are: 0.0 and -0.0 differ.
    pub(super) fn merge(
        &mut self,
        model: &OnnxModel,
        root: &mut GraphProto,
        given: &HashSet<String>,
    ) -> Result<usize, FileError> {
        let inputs: HashSet<&str> = root.input.iter().map(ValueInfoProto::name).collect();
        let mut alike: HashMap<_, Vec<&TensorProto>> = HashMap::new();
        for tensor in root.initializer.iter().filter(|tensor| !inputs.contains(tensor.name())) {
            if tensor.string_data.is_empty() {
                let payload = model.payload(tensor)?;
                let beginning = read(tensor, &payload, 0, payload.len().min(BEGINNING))?;
                alike.entry((tensor.data_type(), &tensor.dims, beginning)).or_default().push(tensor);
            }
        }
        let mut renames = Renames::default();
        let mut gone = HashSet::new();
        for group in alike.into_values().filter(|group| group.len() > 1) {
            let mut first: HashMap<String, &str> = HashMap::new();
            for tensor in group {
                let kept = *first.entry(self.digest(model, tensor)?).or_insert(tensor.name());
                if kept != tensor.name() && !given.contains(tensor.name()) {
                    renames.insert(tensor.name(), kept);
                    gone.insert(tensor.name().to_owned());
                }
            }
        }
        renames.apply(root);
        root.initializer.retain(|tensor| !gone.contains(tensor.name()));
        Ok(gone.len())
    }

    fn digest(&mut self, model: &OnnxModel, tensor: &TensorProto) -> Result<String, FileError> {
        let payload = model.payload(tensor)?;
        if payload.len() <= BEGINNING {
            return Ok(String::new());
        }
        if let Some(known) = self.0.get(tensor.name()) {
            return Ok(known.clone());
        }
        let mut pieces = String::new();
        for start in (0..payload.len()).step_by(PIECE) {
            let length = (payload.len() - start).min(PIECE as u64);
            pieces += &sha256_hex(read(tensor, &payload, start, length)?);
        }
        let digest = sha256_hex(pieces);
        self.0.insert(tensor.name().to_owned(), digest.clone());
        Ok(digest)
    }
}

fn read(tensor: &TensorProto, payload: &Payload, start: u64, length: u64) -> Result<Vec<u8>, FileError> {
    let wrong = |source| FileError::Read { tensor: tensor.name().to_owned(), source };
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    payload.open().map_err(wrong)?.read_at(&mut bytes, start).map_err(wrong)?;
    Ok(bytes)
}

/// Lets one of all nodes that compute the same stand for them; how many went.
pub(super) fn merge_nodes(root: &mut GraphProto, given: &HashSet<String>) -> usize {
    let mut pass = Pass { given, renames: Renames::default(), scopes: Vec::new(), gone: 0 };
    pass.graph(root);
    let Pass { renames, gone, .. } = pass;
    renames.apply(root);
    gone
}

struct Pass<'a> {
    given: &'a HashSet<String>,
    renames: Renames,
    /// What was computed so far, by what it is; the outer graphs first.
    scopes: Vec<HashMap<Vec<u8>, Vec<String>>>,
    gone: usize,
}

impl Pass<'_> {
    fn graph(&mut self, graph: &mut GraphProto) {
        self.scopes.push(HashMap::new());
        graph.node.retain_mut(|node| {
            let merged = self.is_merged(node);
            if !merged {
                subgraphs_mut(node).for_each(|inner| self.graph(inner));
            }
            self.gone += usize::from(merged);
            !merged
        });
        self.scopes.pop();
    }

    /// Whether a node before this one gives the same; its outputs then go by that node's names.
    fn is_merged(&mut self, node: &NodeProto) -> bool {
        let Some(key) = self.key(node) else { return false };
        let earlier = self.scopes.iter().rev().find_map(|scope| scope.get(&key));
        match earlier {
            Some(outputs) if !node.output.iter().any(|name| self.given.contains(name)) => {
                for (name, kept) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                    self.renames.insert(name, kept);
                }
                true
            }
            Some(_) => false,
            None => {
                let scope = self.scopes.last_mut();
                scope.and_then(|scope| scope.insert(key, node.output.clone()));
                false
            }
        }
    }

    /// Everything that decides what a node gives; `None` where that is not all.
    fn key(&self, node: &NodeProto) -> Option<Vec<u8>> {
        let is_pure = is_default_domain(node.domain()) && !RANDOM.contains(&node.op_type());
        if !is_pure || subgraphs(node).next().is_some() {
            return None;
        }
        let mut attribute = node.attribute.clone();
        attribute.sort_by(|left, right| left.name().cmp(right.name()));
        for attribute in &mut attribute {
            attribute.doc_string = None;
        }
        let name = |name: &String| if name.is_empty() { String::new() } else { "_".to_owned() };
        let alike = NodeProto {
            input: node.input.iter().map(|name| self.renames.of(name).to_owned()).collect(),
            output: node.output.iter().map(name).collect(),
            op_type: node.op_type.clone(),
            attribute,
            ..NodeProto::default()
        };
        Some(alike.encode_to_vec())
    }
}
