//! A copy of a model that gives its inner values as outputs.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use slipway_model::onnx::proto::{GraphProto, ModelProto};
use slipway_model::onnx::{DataType, OnnxModel};
use tempfile::TempDir;

use super::CaptureError;
use crate::file::{Nothing, Output, Target, embed, kept, write};
use crate::graph::{Names, inline_functions, node, open_value, raise_ir, raise_to_13};
use crate::progress::Progress;

/// Bytes of tensors up to which the copy keeps them in the model file.
const INLINE: u64 = 256 << 20;

/// The copy, for as long as its folder lives.
pub(super) struct Copy {
    pub(super) folder: TempDir,
    pub(super) path: PathBuf,
}

/// Writes a model whose outputs are, for each value, its shape and then, in the same order, the values; without values
/// its own outputs stay.
///
/// Functions are written out in place of their calls and the opset is raised to 13 where it can be, as a quantizer does
/// before it names activations.
pub(super) fn copy(
    model: &OnnxModel,
    values: &[&str],
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Copy, CaptureError> {
    let no_room = |source| CaptureError::Scratch { folder: scratch.to_owned(), source };
    let folder = TempDir::with_prefix_in(".slipway-capture-", scratch).map_err(no_room)?;
    // External data of the copy must not be found through a link.
    let path = fs::canonicalize(folder.path()).map_err(no_room)?.join("model.onnx");
    let mut proto = model.proto().clone();
    inline_functions(&mut proto);
    raise_to_13(&mut proto);
    let mut graph = proto.graph.take().unwrap_or_default();
    show(&mut graph, values)?;
    embed(model, &mut graph, &mut proto.functions)?;
    let initializers = std::mem::take(&mut graph.initializer);
    let tensors = initializers.into_iter().map(|tensor| kept(model, tensor)).collect::<Result<_, _>>()?;
    raise_ir(&mut proto);
    let output: Output<Nothing> = Output { model: ModelProto { graph: Some(graph), ..proto }, tensors };
    let target = Target::beside(model, &path)?;
    write(output, &target, INLINE, progress)?.keep(&target)?;
    Ok(Copy { folder, path })
}

/// Replaces the outputs of a graph.
fn show(graph: &mut GraphProto, values: &[&str]) -> Result<(), CaptureError> {
    let computed: HashSet<&str> =
        graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
    if let Some(value) = values.iter().find(|value| !computed.contains(**value)) {
        return Err(CaptureError::NoValue { value: (*value).to_owned() });
    }
    // A model has to give something.
    if values.is_empty() {
        return Ok(());
    }
    let mut names = Names::of(graph);
    let mut outputs = Vec::new();
    let mut shapes = Vec::new();
    for value in values {
        let shape = names.fresh(&format!("{value}_shape"));
        shapes.push(node(names.fresh(&format!("{value}_Shape")), "Shape", &[value], &[&shape]));
        outputs.push(open_value(&shape, DataType::INT64));
    }
    outputs.extend(values.iter().map(|value| open_value(value, DataType::FLOAT)));
    graph.node.extend(shapes);
    graph.output = outputs;
    // Descriptions may be wrong, and no value may have two.
    let shown: HashSet<&str> = values.iter().copied().collect();
    graph.value_info.retain(|value| !shown.contains(value.name()));
    Ok(())
}
