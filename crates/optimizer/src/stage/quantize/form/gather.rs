//! `Gather` of rows of integers: an embedding.
//!
//! ```text
//! Gather(w, ids) → Cast → Mul(Gather(w_scale, ids))
//! ```
//!
//! In blocks, `w` is `[rows, blocks, size]` and `w_scale` `[rows, blocks, 1]`; a `Reshape` to the dimensions of the ids
//! and the length of a row follows.

use slipway_model::onnx::proto::NodeProto;

use super::super::cut::Cut;
use super::super::emit::Emitter;
use super::super::select::{Axes, Selector};
use super::super::{Form, Method};
use super::{Site, expanded};
use crate::graph::{GraphId, Unresolved, int, int_list, int_or, is_float};

/// The rows of a table are its channels.
const ROWS: Axes = Axes { channels: 0, batch: 0 };

/// A look-up in a constant table.
#[derive(Debug)]
pub(in super::super) struct Gather {
    weight: usize,
    /// One scale a row, or a block of one.
    scale_dims: Vec<i64>,
    /// The length of a row that is stored in blocks.
    row: Option<i64>,
    data_type: i32,
}

/// Says nothing of a table that is no float constant: most look-ups are of shapes.
pub(super) fn consider(
    selector: &mut Selector<'_>,
    graph: GraphId,
    node: &NodeProto,
) -> Result<Site, Unresolved> {
    let [name, _rows, ..] = node.input.as_slice() else { return Err(Unresolved::Computed) };
    let table = selector.scopes.resolve(graph, name)?;
    if !is_float(selector.scopes.tensor(table.source).data_type()) || table.dims.len() < 2 {
        return Err(Unresolved::Computed);
    }
    let half = matches!(selector.options.method, Method::Half { .. });
    if half || table.transposed || int_or(node, "axis", 0) != 0 {
        return expanded::consider(selector, graph, node);
    }
    let operand = selector.operand(graph, node, 0)?;
    let weight = selector.want(&operand, ROWS, Form::GatherInteger, false);
    let dims = &operand.dims;
    let cut = Cut::of(selector.options.method, ROWS, dims);
    let scale_dims = cut.map_or_else(|| ROWS.scale_dims(dims), |cut| cut.scale_dims(dims));
    Ok(Site::Gather(Gather { weight, scale_dims, row: cut.map(|_| dims[1]), data_type: operand.data_type }))
}

impl Gather {
    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        let output = node.output.first().map_or("", String::as_str);
        let (table, rows) = (emitter.stored(self.weight, false), &node.input[1]);
        let integers = emitter.apply("Gather", &[&table, rows], output);
        let floats = emitter.widen(&integers);
        let dims = emitter.scale_dims(&self.scale_dims);
        let mut scale = emitter.scale_tensor(self.weight, dims, 1.0);
        if !dims.is_empty() {
            scale = emitter.apply("Gather", &[&scale, rows], &format!("{output}_scale"));
        }
        let mut found = emitter.apply("Mul", &[&floats, &scale], output);
        if let Some(row) = self.row {
            found = whole_rows(&found, rows, row, output, emitter);
        }
        emitter.finish(&found, output, self.data_type);
    }
}

/// Joins the blocks of rows: their dimensions are those of what looked them up, and the length of a row.
fn whole_rows(blocks: &str, rows: &str, length: i64, output: &str, emitter: &mut Emitter<'_>) -> String {
    let looked_up = emitter.apply("Shape", &[rows], output);
    let row = emitter.names.fresh(&format!("{output}_row"));
    emitter.constants.push(int_list(&row, &[length]));
    let shape = emitter.apply_with("Concat", &[&looked_up, &row], output, vec![int("axis", 0)]);
    emitter.apply("Reshape", &[blocks, &shape], output)
}
