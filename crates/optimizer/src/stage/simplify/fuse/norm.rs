//! `(x − mean) / √(variance + ε) · γ + β` over the last axis, as PyTorch's exporters and Paddle's write it.
//!
//! Exporters of TensorFlow and JAX write other sums. They stay: no engine fuses them when it loads a model, and
//! ONNX Runtime before 1.32 computes `LayerNormalization` slower than those.

use std::collections::BTreeSet;

use super::chain::{Chain, Chains, Step};
use crate::graph::{float, int};

/// A chain that is a normalization, and what forbids to fuse it, if anything does.
pub(super) struct Found {
    pub(super) chain: Chain,
    pub(super) obstacle: Option<&'static str>,
}

/// What stands between a value and its division by the standard deviation.
struct Core<'a> {
    x: &'a str,
    epsilon: f64,
    nodes: BTreeSet<usize>,
    /// Whether constants add no dimensions.
    fits: bool,
}

/// Every chain of a graph that is a `LayerNormalization`.
pub(super) fn find(chains: &Chains<'_>) -> Vec<Found> {
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for end in chains.ends().filter(|end| matches!(end.op(), "Add" | "Mul")) {
        if !taken.contains(&end.place)
            && let Some(norm) = shifted(chains, end).or_else(|| scaled(chains, end, None))
        {
            taken.extend(norm.chain.nodes.iter().copied());
            found.push(norm);
        }
    }
    found
}

/// A normalization that ends by adding β.
fn shifted(chains: &Chains<'_>, end: Step<'_>) -> Option<Found> {
    let (beta, product) = constant_first(chains, end)?;
    let scale = chains.inner(product, 1)?;
    (end.op() == "Add").then(|| scaled(chains, scale, Some((end, beta))))?
}

/// A normalization whose product with γ is a node's; `end` adds β to it.
fn scaled<'a>(chains: &Chains<'a>, scale: Step<'a>, end: Option<(Step<'a>, &'a str)>) -> Option<Found> {
    let (gamma, normalized) = constant_first(chains, scale).filter(|_| scale.op() == "Mul")?;
    let mut core = core(chains, normalized)?;
    let channels = chains.vector(gamma)?;
    let beta = end.map(|(_, beta)| beta);
    if !core.fits || beta.is_some_and(|beta| chains.vector(beta) != Some(channels)) {
        return None;
    }
    let last = end.map_or(scale, |(end, _)| end);
    core.nodes.extend([scale.place, last.place]);
    let obstacle = match chains.last_size(core.x) {
        Some(size) if size == channels => None,
        Some(_) => return None,
        None => Some("the size of its last axis is not known"),
    };
    let inputs: Vec<&str> = [core.x, gamma].into_iter().chain(beta).collect();
    let attributes = vec![int("axis", -1), float("epsilon", single(core.epsilon))];
    let chain = Chain::ending(last, core.nodes, ("", "LayerNormalization"), &inputs, attributes);
    Some(Found { chain, obstacle })
}

/// The two values of a sum or a product, the constant one first.
fn constant_first<'a>(chains: &Chains<'a>, step: Step<'a>) -> Option<(&'a str, &'a str)> {
    let (first, second) = step.pair()?;
    if chains.is_constant(first) {
        Some((first, second))
    } else {
        chains.is_constant(second).then_some((second, first))
    }
}

fn core<'a>(chains: &Chains<'a>, normalized: &str) -> Option<Core<'a>> {
    let step = |name: &str, uses: usize, op: &str| chains.inner(name, uses).filter(|step| step.op() == op);
    let divide = step(normalized, 1, "Div")?;
    let (centered, deviation) = divide.pair()?;
    let root = step(deviation, 1, "Sqrt")?;
    let add = step(root.node.input.first()?, 1, "Add")?;
    let (epsilon, variance) = constant_first(chains, add)?;
    let (epsilon, epsilon_rank) = chains.number(epsilon)?;
    let variance = step(variance, 1, "ReduceMean").filter(|step| chains.reduces_last(*step))?;
    let square = step(variance.node.input.first()?, 1, "Pow")?;
    let (base, exponent) = square.pair()?;
    let (exponent, exponent_rank) = chains.exponent(exponent)?;
    let center = step(centered, 2, "Sub").filter(|_| base == centered && exponent == 2)?;
    let (x, mean) = center.pair()?;
    let mean = step(mean, 1, "ReduceMean").filter(|step| chains.reduces_last(*step))?;
    let steps = [divide, root, add, variance, square, center, mean];
    let fits = chains.has_rank(x, epsilon_rank.max(exponent_rank)) && mean.node.input.first()? == x;
    Some(Core { x, epsilon, nodes: steps.iter().map(|step| step.place).collect(), fits })
}

#[expect(clippy::cast_possible_truncation, reason = "the number was a single float before")]
fn single(value: f64) -> f32 {
    value as f32
}
