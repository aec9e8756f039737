//! The stage `smooth`: the same model in floats, with ranges that are easier to quantize.
//!
//! A few channels of an activation are often far larger than the others, and take the range of its integers for
//! themselves. [`smooth`] divides each channel of what goes into a product by a factor and multiplies the row of the
//! weight by it (`SmoothQuant`), so that weights, which are easier to quantize, carry a part of the difference. What the
//! model computes stays the same but for rounding.

mod error;
mod factors;
mod options;
mod products;
mod report;
mod rewrite;
mod scaled;

use std::path::Path;

use slipway_model::onnx::proto::GraphProto;
use slipway_model::onnx::{Limits, OnnxModel};

use super::Skipped;
use crate::calibrate::Data;
use crate::file::{Target, destination, total_len, write};
use crate::graph::{inline_functions, refuse_old};
use crate::progress::{Part, Progress};

pub use error::SmoothError;
pub use options::Options;
pub use report::{SmoothReport, Smoothed};

use factors::Range;
use products::Product;

/// Smooths the model at `input` by what goes into its products on `data`, and writes the result to `output`.
///
/// `MatMul` and `Gemm` of the main graph with a constant matrix of single precision on the right are smoothed; those that
/// take the same activation share its factors, and one `Mul` before them. Names, types and dimensions of inputs and
/// outputs stay, and so do the names of operators and weights. Functions are written out in place of their calls. The
/// bytes written depend on the input, the data and the options alone.
///
/// # Errors
/// [`SmoothError::NothingChanged`] where nothing can be smoothed, with a reason a node; the others where the model cannot
/// be run on the data, or a file cannot be read or written.
pub fn smooth(
    input: &Path,
    output: &Path,
    data: &Data,
    options: &Options,
    progress: &dyn Progress,
) -> Result<SmoothReport, SmoothError> {
    if !(0.0..=1.0).contains(&options.alpha) {
        return Err(SmoothError::Alpha { alpha: options.alpha });
    }
    let model = OnnxModel::open_with(input, Limits::STREAMED)?;
    refuse_old(model.proto()).map_err(|reason| SmoothError::Opset { reason })?;
    let target = Target::beside(&model, &destination(output)?)?;
    let size_before = total_len(&model)?;
    let mut proto = model.proto().clone();
    inline_functions(&mut proto);
    let graph = proto.graph.take().unwrap_or_default();
    let (found, mut skipped) = products::products(&graph);
    if found.is_empty() {
        return Err(SmoothError::NothingChanged { skipped });
    }
    progress.total(size_before);
    let ranges = observed(&found, input, data, &Part::new(progress, size_before))?;
    let mut chosen = Vec::new();
    for (product, range) in found.into_iter().zip(ranges) {
        match factors::factors(&model, &graph, &product, range, options.alpha)? {
            Ok(factors) => chosen.push((product, factors)),
            Err(reason) => skipped.extend(refused(&graph, &product, &reason)),
        }
    }
    if chosen.is_empty() {
        return Err(SmoothError::NothingChanged { skipped });
    }
    let smoothed = chosen.iter().map(|(product, factors)| Smoothed::of(&graph, product, factors)).collect();
    let made = rewrite::rewrite(&model, proto, graph, &chosen, data, options)?;
    let written = write(made, &target, options.inline_limit, progress)?;
    let (size_after, external_data) = (written.bytes, written.is_external());
    written.keep(&target)?;
    Ok(SmoothReport { smoothed, skipped, samples: data.count(), size_before, size_after, external_data })
}

/// Runs the model for the largest magnitude of each channel of what goes into the products.
fn observed(
    products: &[Product],
    model: &Path,
    data: &Data,
    progress: &dyn Progress,
) -> Result<Vec<Range>, SmoothError> {
    let mut ranges: Vec<_> = products.iter().map(|product| Range::new(product.depth)).collect();
    let names = products.iter().map(|product| product.input.clone()).collect();
    data.show(model, names, progress, &mut |shown| {
        ranges[shown.value].widen(shown.shape, shown.values);
        Ok(())
    })?;
    Ok(ranges)
}

/// The nodes of a product, and why they stay.
fn refused(graph: &GraphProto, product: &Product, reason: &str) -> Vec<Skipped> {
    product.nodes.iter().map(|node| Skipped::of(&graph.node[*node], reason)).collect()
}
