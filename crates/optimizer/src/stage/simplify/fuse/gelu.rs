//! `x · Φ(x)`, written with `Erf`, or with `Tanh` for what approximates it.

use std::collections::BTreeSet;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

use super::chain::{Chain, Chains, Step};
use super::polynomial::{Polynomial, close};
use crate::graph::{CONTRIB, text};

/// The factor of the cube in the approximation.
const CUBE: f64 = 0.044_715;

/// Nodes that a product is followed through, one behind the other; real ones have three.
const DEPTH: usize = 8;

/// Whether the function is approximated.
#[derive(Clone, Copy)]
enum Form {
    Exact,
    Tanh,
}

/// A product of a number and values, and the nodes that compute it.
#[derive(Default)]
struct Product<'a> {
    number: f64,
    values: Vec<&'a str>,
    nodes: BTreeSet<usize>,
    /// The most dimensions of a number in it.
    rank: usize,
}

/// Every chain of a graph that is a `Gelu`; `own` says whether ONNX's own operators have it.
pub(super) fn find(chains: &Chains<'_>, own: bool) -> Vec<Chain> {
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for end in chains.ends() {
        if let Some(chain) = gelu(chains, end, own).filter(|chain| taken.is_disjoint(&chain.nodes)) {
            taken.extend(chain.nodes.iter().copied());
            found.push(chain);
        }
    }
    found
}

/// The chain that ends in a node: a half, `x`, and one more than a function of `x`, multiplied in any order.
fn gelu(chains: &Chains<'_>, end: Step<'_>, own: bool) -> Option<Chain> {
    let product = product_of(chains, end, DEPTH)?;
    let [first, second] = <[&str; 2]>::try_from(product.values.as_slice()).ok()?;
    if !close(product.number, 0.5) {
        return None;
    }
    let inside = |x, sum| Some((x, bell(chains, sum, x)?));
    let (x, (form, mut nodes, rank)) = inside(first, second).or_else(|| inside(second, first))?;
    if !chains.has_rank(x, rank.max(product.rank)) {
        return None;
    }
    nodes.extend(product.nodes);
    let approximate = || vec![text("approximate", "tanh")];
    let (op, attribute) = match (form, own) {
        (Form::Exact, true) => (("", "Gelu"), Vec::new()),
        (Form::Tanh, true) => (("", "Gelu"), approximate()),
        (Form::Exact, false) => ((CONTRIB, "Gelu"), Vec::new()),
        (Form::Tanh, false) => ((CONTRIB, "FastGelu"), Vec::new()),
    };
    Some(Chain::ending(end, nodes, op, &[x], attribute))
}

/// What a node multiplies, taken apart as far as nobody else sees the parts, but so many nodes at most.
fn product_of<'a>(chains: &Chains<'a>, step: Step<'a>, depth: usize) -> Option<Product<'a>> {
    let depth = depth.checked_sub(1)?;
    let (first, second) = step.pair()?;
    let mut product = match step.op() {
        "Mul" => times(factor(chains, first, depth), factor(chains, second, depth)),
        "Div" => {
            let (number, rank) = chains.number(second)?;
            times(
                factor(chains, first, depth),
                Product { number: number.recip(), rank, ..Product::default() },
            )
        }
        _ => return None,
    };
    product.nodes.insert(step.place);
    Some(product)
}

fn factor<'a>(chains: &Chains<'a>, name: &'a str, depth: usize) -> Product<'a> {
    if let Some((number, rank)) = chains.number(name) {
        return Product { number, rank, ..Product::default() };
    }
    let inner = chains.inner(name, 1).and_then(|step| product_of(chains, step, depth));
    inner.unwrap_or_else(|| Product { number: 1.0, values: vec![name], ..Product::default() })
}

fn times<'a>(mut left: Product<'a>, right: Product<'a>) -> Product<'a> {
    left.number *= right.number;
    left.values.extend(right.values);
    left.nodes.extend(right.nodes);
    left.rank = left.rank.max(right.rank);
    left
}

/// Which form `1 + erf(…)` or `1 + tanh(…)` is that of, if it is one of `x`.
fn bell(chains: &Chains<'_>, sum: &str, x: &str) -> Option<(Form, BTreeSet<usize>, usize)> {
    let add = chains.inner(sum, 1).filter(|step| step.op() == "Add")?;
    let (first, second) = add.pair()?;
    let one = |name, other| {
        chains.number(name).filter(|(number, _)| close(*number, 1.0)).map(|(_, rank)| (rank, other))
    };
    let (one_rank, curve) = one(first, second).or_else(|| one(second, first))?;
    let function = chains.inner(curve, 1)?;
    let argument = Polynomial::of(chains, function.node.input.first()?, x)?;
    let slope = FRAC_2_SQRT_PI / SQRT_2;
    let form = match function.op() {
        "Erf" if argument.is([0.0, FRAC_1_SQRT_2, 0.0, 0.0]) => Form::Exact,
        "Tanh" if argument.is([0.0, slope, 0.0, slope * CUBE]) => Form::Tanh,
        _ => return None,
    };
    let mut nodes = argument.nodes;
    nodes.extend([add.place, function.place]);
    Some((form, nodes, one_rank.max(argument.rank)))
}
