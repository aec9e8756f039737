//! Blocks of four bits, chosen by what goes into their products on data.
//!
//! The model is loaded once, and runs for each group of products whose second moments fit in memory together; then the
//! integers of their weights are chosen, panel by panel, and wait in a file until the output is written. Inputs are
//! those of the float model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use slipway_kernels::quantize::{
    BlockFit, BlockShape, Factor, Hessian, Quality, dequantize_block_rows, gptq,
};

use super::blocks::{Blocks, Columns};
use super::fitted::{Fitted, Shelf};
use super::panels::Panels;
use super::{Encoding, Weight};
use crate::calibrate::{CalibrateError, Capture, Data};
use crate::file::{FileError, MakeError};
use crate::progress::{Part, Progress};
use crate::stage::quantize::{Fit, QuantizeError};

/// Chooses the integers of all weights that ask for it; sentences on those whose inputs could not be taken.
///
/// Their tensors wait in an unnamed file in `folder`.
pub(in super::super) fn fit(
    weights: &mut [&mut Weight],
    model: &Path,
    data: &Data,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Vec<String>, QuantizeError> {
    let mut notes = Vec::new();
    let products = products(weights, data.memory, &mut notes);
    let no_room = |source| FileError::Write { path: folder.to_owned(), source };
    let file = Arc::new(tempfile::tempfile_in(folder).map_err(no_room)?);
    progress.total(products.iter().map(|product| 2 * product.bytes(weights)).sum());
    let mut fitting = Fitting { weights, file, place: 0, folder, notes };
    let names: BTreeSet<String> = products.iter().flat_map(|product| &product.inputs).cloned().collect();
    if names.is_empty() {
        return Ok(fitting.notes());
    }
    let capture = data.open(model, names.into_iter().collect(), progress).map_err(CalibrateError::from)?;
    for group in grouped(products, data.memory) {
        let worth = group.iter().map(|product| product.bytes(fitting.weights)).sum();
        let moments = observed(&group, &capture, data, &Part::new(progress, worth))?;
        for (product, moments) in group.into_iter().zip(moments) {
            fitting.product(product, moments, progress)?;
        }
    }
    Ok(fitting.notes())
}

/// Weights that are multiplied with the same activations, and so share their second moments.
struct Product {
    inputs: Vec<String>,
    /// Length of the sums, `K`.
    depth: usize,
    weights: Vec<Member>,
}

/// A weight of a product.
#[derive(Clone, Copy)]
struct Member {
    /// Its index among all weights.
    index: usize,
    blocks: Blocks,
    shape: BlockShape,
}

impl Product {
    /// Bytes of the second moments.
    fn moments(depth: usize) -> u64 {
        (depth as u64).saturating_mul(depth as u64).saturating_mul(8)
    }

    /// Bytes of the weights.
    fn bytes(&self, weights: &[&mut Weight]) -> u64 {
        self.weights.iter().map(|member| weights[member.index].payload.len()).sum()
    }
}

/// The products in the order of the graph, without those that cannot be seen.
fn products(weights: &[&mut Weight], memory: u64, notes: &mut Vec<String>) -> Vec<Product> {
    let mut known: BTreeMap<(Vec<String>, usize), usize> = BTreeMap::new();
    let mut products: Vec<Product> = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let Encoding::Blocks(blocks @ Blocks { fit: Fit::Gptq, .. }) = weight.encoding else { continue };
        let shape = blocks.shape(&weight.layout);
        let (depth, moments) = (shape.rows(), Product::moments(shape.rows()));
        let inputs = match weight.inputs.seen() {
            Ok(_) if moments > memory => Err(format!(
                "second moments of {depth} inputs take {moments} bytes, and {memory} are allowed"
            )),
            Ok(inputs) => Ok(inputs),
            Err(reason) => Err(reason.to_owned()),
        };
        match inputs {
            Ok(inputs) => {
                let place = *known.entry((inputs.clone(), depth)).or_insert(products.len());
                if place == products.len() {
                    products.push(Product { inputs, depth, weights: Vec::new() });
                }
                products[place].weights.push(Member { index, blocks, shape });
            }
            Err(reason) => notes.push(note(&weight.name, &reason)),
        }
    }
    products
}

fn note(weight: &str, reason: &str) -> String {
    format!("{weight:?} is fitted by least squares, without data: {reason}")
}

/// Neighbours whose second moments fit in memory together.
fn grouped(products: Vec<Product>, memory: u64) -> Vec<Vec<Product>> {
    let mut groups: Vec<Vec<Product>> = Vec::new();
    let mut used = 0_u64;
    for product in products {
        let moments = Product::moments(product.depth);
        match groups.last_mut() {
            Some(group) if used.saturating_add(moments) <= memory => {
                used += moments;
                group.push(product);
            }
            _ => {
                used = moments;
                groups.push(vec![product]);
            }
        }
    }
    groups
}

/// Runs the model for the second moments of a group, each or why there are none.
fn observed(
    group: &[Product],
    capture: &Capture,
    data: &Data,
    progress: &dyn Progress,
) -> Result<Vec<Result<Hessian, String>>, QuantizeError> {
    let mut takers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, product) in group.iter().enumerate() {
        product.inputs.iter().for_each(|name| takers.entry(name).or_default().push(place));
    }
    let mut moments: Vec<_> = group.iter().map(|product| Ok(Hessian::new(product.depth))).collect();
    let shown = data.run(capture, &|name| takers.contains_key(name), progress, &mut |shown| {
        for place in takers.get(shown.name).into_iter().flatten() {
            observe(&mut moments[*place], shown.shape, shown.values, group[*place].depth);
        }
        Ok(())
    });
    shown.map_err(CalibrateError::from)?;
    Ok(moments)
}

fn observe(moments: &mut Result<Hessian, String>, shape: &[usize], values: &[f32], depth: usize) {
    let Ok(hessian) = moments else { return };
    if shape.last() != Some(&depth) {
        *moments = Err(format!("its input has the shape {shape:?}, which does not end in {depth}"));
    } else if let Err(bad) = hessian.observe(values) {
        *moments = Err(bad.to_string());
    }
}

struct Fitting<'a, 'w> {
    weights: &'a mut [&'w mut Weight],
    file: Arc<File>,
    place: u64,
    folder: &'a Path,
    notes: Vec<String>,
}

impl Fitting<'_, '_> {
    /// What was said, in order.
    fn notes(self) -> Vec<String> {
        let Self { mut notes, .. } = self;
        notes.sort();
        notes
    }

    /// Chooses the integers of all weights of a product.
    fn product(
        &mut self,
        product: Product,
        moments: Result<Hessian, String>,
        progress: &dyn Progress,
    ) -> Result<(), QuantizeError> {
        let factor = moments.and_then(|hessian| hessian.factor().map_err(|error| error.to_string()));
        for member in product.weights {
            let index = member.index;
            let weight = &*self.weights[index];
            progress.message(&weight.name);
            match &factor {
                Ok(factor) => {
                    let fitted = self
                        .weight(member, factor, progress)
                        .map_err(|error| error.of_tensor(&self.weights[index].name, self.folder))?;
                    self.weights[index].fitted = Some(fitted);
                }
                Err(reason) => self.notes.push(note(&weight.name, reason)),
            }
            progress.advance(self.weights[index].payload.len());
        }
        Ok(())
    }

    fn weight(
        &mut self,
        member: Member,
        factor: &Factor,
        progress: &dyn Progress,
    ) -> Result<Fitted, MakeError> {
        let Member { index, blocks, shape } = member;
        let weight = &*self.weights[index];
        let (mut kept, end) = Shelf::new(self.file.clone(), self.place, &blocks.parts(weight));
        self.place = end;
        let mut panels = Panels::open(weight, shape)?;
        let mut quality = Quality::default();
        while let Some(values) = panels.next()? {
            if progress.is_cancelled() {
                return Err(MakeError::Cancelled);
            }
            let count = values.len() / shape.rows().max(1);
            let mut columns = Columns::new(shape, count);
            let mut corrected = values.clone();
            gptq(&mut corrected, count, factor, shape, BlockFit::LeastSquares, columns.out())
                .map_err(|_| MakeError::NotFinite)?;
            quality.merge(compared(&values, &columns, shape, &mut corrected));
            kept.add(&columns.parts()).map_err(MakeError::Write)?;
        }
        Ok(kept.close(quality))
    }
}

/// How far the stored values are from those of the weight, `[K, columns]`.
fn compared(values: &[f32], columns: &Columns, shape: BlockShape, stored: &mut [f32]) -> Quality {
    let Columns { integers, scales, zero_points } = columns;
    dequantize_block_rows(integers, scales, zero_points, shape, stored);
    let mut quality = Quality::default();
    let count = values.len() / shape.rows().max(1);
    for (column, stored) in stored.chunks_exact(shape.rows()).enumerate() {
        for (value, stored) in values.iter().skip(column).step_by(count).zip(stored) {
            let error = (value - stored).abs();
            quality.max_error = quality.max_error.max(error);
            quality.squared_error += f64::from(error).powi(2);
            quality.squared_value += f64::from(*value).powi(2);
        }
    }
    quality
}
