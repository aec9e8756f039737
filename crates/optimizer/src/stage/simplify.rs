//! The stage `simplify`: the same model, with less in it.
//!
//! [`simplify`] computes ahead what does not depend on inputs, removes what changes nothing or is
//! not needed, merges what is there twice, and makes one operator of chains that are one, until there
//! is nothing left to do. Only weights that take over the scaling of their channels and those operators
//! round otherwise; all else stays the same to the bit. Large tensors are streamed from file to file,
//! the input is never touched, and the output appears whole or not at all.

mod absorb;
mod balance;
mod branch;
mod bypass;
mod dims;
mod error;
mod evaluate;
mod fold;
mod fuse;
mod hoist;
mod infer;
mod merge;
mod names;
mod options;
mod rename;
mod report;
mod sweep;
mod tensor;

use std::collections::HashSet;
use std::path::Path;

use slipway_model::onnx::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto};
use slipway_model::onnx::{Limits, OnnxModel, graphs};

use super::Skipped;
use crate::file::{
    FileError, Nothing, Output, OutputTensor, Target, describe, destination, embed, kept, source_of,
    total_len, write,
};
use crate::graph::{inline_functions, opset, prune_descriptions, raise_ir, rewrite};
use crate::progress::Progress;

pub use error::SimplifyError;
pub use options::Options;
pub use report::{Change, SimplifyReport};

use report::Changes;

/// Rounds of all rewrites: each makes the model smaller, and real models need few.
const ROUNDS: usize = 64;

/// Bytes that computed tensors may take in memory.
const BUDGET: u64 = 512 << 20;

/// Bytes that may be read for computed tensors, over all rounds.
const EFFORT: u64 = 2 << 30;

/// The IR version from which an initializer that is an input too may be given another value.
const OVERRIDABLE: i64 = 4;

/// Simplifies the model at `input` and writes the result to `output`.
///
/// Names, types and dimensions of what a caller gives and gets stay as they are, but for
/// [`Options::dims`]. Functions are written out in place of their calls. The file holds its
/// tensors itself below [`Options::inline_limit`] and keeps them in `<output>.<digest>.data` beside it
/// above. The bytes written depend on the input and the options alone.
///
/// # Errors
/// [`SimplifyError::NothingChanged`] when there is nothing to do, unless that is allowed;
/// [`SimplifyError::Options`] for dimensions that no input has; [`SimplifyError::Graph`] for a
/// graph that cannot be run; a [`FileError`] for files that cannot be read or written.
pub fn simplify(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<SimplifyReport, SimplifyError> {
    let model = OnnxModel::open_with(input, Limits::STREAMED)?;
    let target = Target::beside(&model, &destination(output)?)?;
    let size_before = total_len(&model)?;
    let mut proto = model.proto().clone();
    let nodes_before = nodes(&proto);
    let mut work = Work::new(&model);
    let frozen = work.all(&mut proto, options, progress)?;
    let Work { changes, skipped, .. } = work;
    if changes.total() == 0 && !options.allow_unchanged {
        return Err(SimplifyError::NothingChanged);
    }
    let (nodes_after, opset) = (nodes(&proto), opset(&proto));
    let written = write(described(&model, proto, options)?, &target, options.inline_limit, progress)?;
    let (size_after, external_data) = (written.bytes, written.is_external());
    written.keep(&target)?;
    Ok(SimplifyReport {
        changes: changes.into_counts(),
        skipped,
        frozen,
        opset,
        nodes_before,
        nodes_after,
        size_before,
        size_after,
        external_data,
    })
}

fn nodes(proto: &ModelProto) -> u64 {
    let main = proto.graph.iter().flat_map(graphs).map(|graph| graph.node.len()).sum::<usize>();
    main as u64
}

/// The model as it will be written.
fn described(
    model: &OnnxModel,
    mut proto: ModelProto,
    options: &Options,
) -> Result<Output<Nothing>, FileError> {
    let mut graph = proto.graph.take().unwrap_or_default();
    prune_descriptions(&mut graph);
    embed(model, &mut graph, &mut proto.functions)?;
    let tensors = std::mem::take(&mut graph.initializer);
    let tensors: Vec<OutputTensor<_>> =
        tensors.into_iter().map(|tensor| kept(model, tensor)).collect::<Result<_, _>>()?;
    raise_ir(&mut proto);
    let spec = serde_json::json!({ "dims": options.dims }).to_string();
    let source = source_of(model, options.source.as_deref())?;
    describe(&mut proto, "simplify", spec, Some(&source));
    proto.graph = Some(graph);
    Ok(Output { model: proto, tensors })
}

/// A model on its way.
struct Work<'a> {
    model: &'a OnnxModel,
    changes: Changes,
    skipped: Vec<Skipped>,
    banned: HashSet<String>,
    digests: merge::Digests,
    /// Bytes that tensors may still take in memory.
    budget: u64,
    /// Bytes that may still be read to compute tensors ahead.
    effort: u64,
}

impl<'a> Work<'a> {
    fn new(model: &'a OnnxModel) -> Self {
        Self {
            model,
            changes: Changes::default(),
            skipped: Vec::new(),
            banned: HashSet::new(),
            digests: merge::Digests::default(),
            budget: BUDGET,
            effort: EFFORT,
        }
    }

    /// Makes every change there is to make; the inputs that are constants from now on.
    fn all(
        &mut self,
        proto: &mut ModelProto,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Vec<String>, SimplifyError> {
        let functions = proto.functions.len();
        inline_functions(proto);
        self.changes.add(Change::FunctionInlined, functions - proto.functions.len());
        let ir = proto.ir_version();
        let graph = proto.graph.get_or_insert_default();
        self.changes.add(Change::DimFixed, dims::fix(graph, &options.dims)?);
        let frozen = if ir < OVERRIDABLE { freeze(graph) } else { Vec::new() };
        names::unique(graph)?;
        for _ in 0..ROUNDS {
            if progress.is_cancelled() {
                return Err(FileError::Cancelled.into());
            }
            let (before, opset) = (self.changes.total(), opset(proto));
            let mut known = self.round(proto.graph.get_or_insert_default(), opset)?;
            self.skipped = std::mem::take(&mut known.skipped);
            if self.changes.total() == before {
                self.fuse(proto, &known);
            }
            if self.changes.total() == before {
                break;
            }
        }
        Ok(frozen)
    }

    /// Fuses chains, which have to be as simple as they can be for that; `known` belongs to the model as it is.
    fn fuse(&mut self, proto: &mut ModelProto, known: &fold::Knowledge) {
        let given = proto.graph.as_ref().map(rename::given_names).unwrap_or_default();
        let fuse::Fused { gelus, norms, skipped } = fuse::fuse(proto, known, &given);
        self.changes.add(Change::GeluFused, gelus);
        self.changes.add(Change::LayerNormFused, norms);
        self.skipped.extend(skipped);
    }

    /// Makes each kind of change once that leaves operators what they are; what was known of the values before.
    fn round(&mut self, graph: &mut GraphProto, opset: i64) -> Result<fold::Knowledge, SimplifyError> {
        self.changes.add(Change::ConstantHoisted, hoist::hoist(graph));
        let given = rename::given_names(graph);
        let known = self.fold(graph, opset, &given)?;
        self.changes.add(Change::NodeBypassed, bypass::bypass(graph, opset, &known, &given));
        self.changes.add(Change::BranchTaken, branch::take(graph, &bypass::conditions(&known)));
        let given = rename::given_names(graph);
        let absorbed = absorb::absorb(self.model, graph, opset, &known, &given, &mut self.budget)?;
        self.changes.add(Change::NodeAbsorbed, absorbed);
        self.changes.add(Change::InitializerMerged, self.digests.merge(self.model, graph, &given)?);
        self.changes.add(Change::NodeMerged, merge::merge_nodes(graph, &given));
        let swept = sweep::sweep(graph);
        self.changes.add(Change::NodeDropped, swept.nodes);
        self.changes.add(Change::InitializerDropped, swept.initializers);
        Ok(known)
    }

    /// Computes nodes ahead, as far as the file does not grow.
    fn fold(
        &mut self,
        graph: &mut GraphProto,
        opset: i64,
        given: &HashSet<String>,
    ) -> Result<fold::Knowledge, SimplifyError> {
        loop {
            let (banned, effort) = (&self.banned, &mut self.effort);
            let known =
                fold::Folder::new(self.model, opset, given, banned, self.budget, effort).learn(graph)?;
            let overdrawn = balance::overdrawn(self.model, graph, &known, given)?;
            if overdrawn.is_empty() {
                let added = balance::frontier(graph, &known, given);
                self.changes.add(Change::NodeFolded, drop_folded(graph, &known));
                for name in &added {
                    self.budget = self.budget.saturating_sub(known.constants[name].memory());
                    graph.initializer.push(known.constants[name].initializer(name));
                }
                return Ok(known);
            }
            self.banned.extend(overdrawn);
        }
    }
}

/// Drops the nodes that were computed ahead; how many there were.
fn drop_folded(graph: &mut GraphProto, known: &fold::Knowledge) -> usize {
    let mut dropped = 0;
    rewrite(graph, &mut |_, graph| {
        let before = graph.node.len();
        graph.node.retain(|node| !balance::is_folded(node, known));
        dropped += before - graph.node.len();
    });
    dropped
}

/// Takes initializers from the inputs, where old files had to list them; their names.
fn freeze(graph: &mut GraphProto) -> Vec<String> {
    let tensors: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    let (frozen, inputs): (Vec<ValueInfoProto>, _) =
        std::mem::take(&mut graph.input).into_iter().partition(|input| tensors.contains(input.name()));
    graph.input = inputs;
    frozen.into_iter().map(|input| input.name().to_owned()).collect()
}
