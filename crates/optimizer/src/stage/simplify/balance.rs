//! Folding must not make the file bigger.
//!
//! A folded value that something else uses becomes an initializer. It is paid for by the
//! initializers that it is made of, where nothing else needs them any more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use slipway_api::sha256_hex;
use slipway_model::onnx::graphs;
use slipway_model::onnx::proto::{GraphProto, NodeProto};

use super::evaluate::Refusal;
use super::fold::{Knowledge, SMALL};
use super::tensor::{Constant, LARGEST};
use crate::file::FileError;
use slipway_model::onnx::OnnxModel;

/// The folded values that the rest of the model uses, in the order of the graph.
pub(super) fn frontier(root: &GraphProto, known: &Knowledge, given: &HashSet<String>) -> Vec<String> {
    let used = used_by_the_rest(root, known);
    let nodes = graphs(root).into_iter().flat_map(|graph| &graph.node);
    let outputs = nodes.filter(|node| is_folded(node, known)).flat_map(|node| &node.output);
    outputs.filter(|name| used.contains(name.as_str()) || given.contains(*name)).cloned().collect()
}

/// Whether a node is gone once its outputs are initializers.
pub(super) fn is_folded(node: &NodeProto, known: &Knowledge) -> bool {
    let mut named = node.output.iter().filter(|name| !name.is_empty()).peekable();
    named.peek().is_some() && named.all(|name| known.folded.contains(name))
}

fn used_by_the_rest<'a>(root: &'a GraphProto, known: &Knowledge) -> HashSet<&'a str> {
    let nodes = graphs(root).into_iter().flat_map(|graph| &graph.node);
    nodes.filter(|node| !is_folded(node, known)).flat_map(|node| &node.input).map(String::as_str).collect()
}

/// The outputs of nodes that must stay, because what they give is larger than what goes away for it.
pub(super) fn overdrawn(
    model: &OnnxModel,
    root: &GraphProto,
    known: &Knowledge,
    given: &HashSet<String>,
) -> Result<HashSet<String>, FileError> {
    let used = used_by_the_rest(root, known);
    let mut accounts = Accounts::default();
    for name in frontier(root, known, given) {
        let constant = &known.constants[&name];
        if constant.len() > SMALL {
            let origins = known.origins.get(&name).map(|all| BTreeSet::clone(all)).unwrap_or_default();
            accounts.open(&name, identity(model, constant, &name)?, constant.len(), origins);
        }
    }
    let goes = |origin: &String| !used.contains(origin.as_str()) && !given.contains(origin);
    let paid = |origin: &String| if goes(origin) { known.constants[origin].len() } else { 0 };
    let refused = accounts.overdrawn(paid);
    // What leads to a refused value would only be refused in the next round.
    Ok(cone(root, known, &refused))
}

/// What two constants of the same content have in common; its name, where nobody looks.
fn identity(model: &OnnxModel, constant: &Constant, name: &str) -> Result<String, FileError> {
    if constant.len() > LARGEST {
        return Ok(name.to_owned());
    }
    match constant.load(model) {
        Ok(tensor) => Ok(format!("{:?}{:?}{}", tensor.code, tensor.dims, sha256_hex(&tensor.bytes))),
        Err(Refusal::File(error)) => Err(error),
        Err(_) => Ok(name.to_owned()),
    }
}

/// Folded values that are made of the same initializers, each with its cost.
#[derive(Default)]
struct Accounts {
    values: Vec<Account>,
}

struct Account {
    names: Vec<String>,
    /// Contents and their bytes.
    contents: BTreeMap<String, u64>,
    origins: BTreeSet<String>,
}

impl Accounts {
    /// Adds a value, and joins all accounts that share an initializer or the content with it.
    fn open(&mut self, name: &str, content: String, bytes: u64, origins: BTreeSet<String>) {
        let mut account =
            Account { names: vec![name.to_owned()], contents: BTreeMap::from([(content, bytes)]), origins };
        let (joined, apart) = std::mem::take(&mut self.values).into_iter().partition(|other: &Account| {
            !other.origins.is_disjoint(&account.origins)
                || other.contents.keys().any(|content| account.contents.contains_key(content))
        });
        self.values = apart;
        for Account { names, contents, origins } in Vec::from_iter::<Vec<Account>>(joined) {
            account.names.extend(names);
            account.contents.extend(contents);
            account.origins.extend(origins);
        }
        self.values.push(account);
    }

    /// The values that cost more than the initializers that go away for them.
    fn overdrawn(self, paid: impl Fn(&String) -> u64) -> HashSet<String> {
        let is_overdrawn = |account: &Account| {
            let cost = account.contents.values().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
            let income = account.origins.iter().map(&paid).fold(0_u64, u64::saturating_add);
            cost > income.saturating_add(SMALL)
        };
        self.values.into_iter().filter(is_overdrawn).flat_map(|account| account.names).collect()
    }
}

/// The refused values, and the large values that they alone are computed from.
fn cone(root: &GraphProto, known: &Knowledge, refused: &HashSet<String>) -> HashSet<String> {
    let nodes: Vec<&NodeProto> = graphs(root).into_iter().flat_map(|graph| &graph.node).collect();
    let producers: HashMap<&str, &NodeProto> =
        nodes.iter().flat_map(|node| node.output.iter().map(|name| (name.as_str(), *node))).collect();
    let is_large = |name: &str| known.constants.get(name).is_some_and(|value| value.len() > SMALL);
    let mut found: HashSet<String> = HashSet::new();
    let mut waiting: Vec<&str> = refused.iter().map(String::as_str).collect();
    while let Some(name) = waiting.pop() {
        if found.insert(name.to_owned())
            && let Some(node) = producers.get(name)
        {
            let large = node.input.iter().filter(|name| is_large(name) && known.folded.contains(*name));
            waiting.extend(large.map(String::as_str));
        }
    }
    found
}
