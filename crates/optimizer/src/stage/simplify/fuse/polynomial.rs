//! Sums and products of one value and numbers, multiplied out.

use std::collections::BTreeSet;

use super::chain::{Chains, Step};

/// The highest power that is followed.
const DEGREE: usize = 3;

/// Nodes that are followed, one behind the other; real ones have six.
const DEPTH: usize = 12;

/// A polynomial in one value, by its coefficients, and the nodes that compute it.
pub(super) struct Polynomial {
    /// The factor of each power of the value, from the power zero on.
    pub(super) factors: [f64; DEGREE + 1],
    pub(super) nodes: BTreeSet<usize>,
    /// The most dimensions of a number in it.
    pub(super) rank: usize,
}

impl Polynomial {
    /// The value `name` as a polynomial in `x`; `None` where it is none, or where others see a part of it.
    pub(super) fn of(chains: &Chains<'_>, name: &str, x: &str) -> Option<Self> {
        Self::within(chains, name, x, DEPTH)
    }

    fn within(chains: &Chains<'_>, name: &str, x: &str, depth: usize) -> Option<Self> {
        if name == x {
            return Some(Self::plain([0.0, 1.0, 0.0, 0.0], 0));
        }
        if let Some((number, rank)) = chains.number(name) {
            return Some(Self::plain([number, 0.0, 0.0, 0.0], rank));
        }
        let depth = depth.checked_sub(1)?;
        let step = chains.inner(name, 1)?;
        let (first, second) = step.pair()?;
        let left = Self::within(chains, first, x, depth)?;
        let made = match step.op() {
            "Pow" => left.power(chains.exponent(second)?)?,
            "Div" => {
                let (number, rank) = chains.number(second)?;
                left.times(&Self::plain([number.recip(), 0.0, 0.0, 0.0], rank))?
            }
            "Mul" => left.times(&Self::within(chains, second, x, depth)?)?,
            "Add" => left.plus(&Self::within(chains, second, x, depth)?),
            _ => return None,
        };
        Some(made.with(step))
    }

    fn plain(factors: [f64; DEGREE + 1], rank: usize) -> Self {
        Self { factors, nodes: BTreeSet::new(), rank }
    }

    fn with(mut self, step: Step<'_>) -> Self {
        self.nodes.insert(step.place);
        self
    }

    fn plus(&self, other: &Self) -> Self {
        let mut sum = self.joined(other);
        sum.factors.iter_mut().zip(other.factors).for_each(|(factor, more)| *factor += more);
        sum
    }

    fn times(&self, other: &Self) -> Option<Self> {
        let mut factors = [0.0; DEGREE + 1];
        for (power, factor) in self.factors.iter().enumerate() {
            for (other_power, other_factor) in other.factors.iter().enumerate() {
                let product = factor * other_factor;
                match factors.get_mut(power + other_power) {
                    Some(sum) => *sum += product,
                    None if product == 0.0 => {}
                    None => return None,
                }
            }
        }
        Some(Self { factors, ..self.joined(other) })
    }

    fn power(self, (exponent, rank): (i64, usize)) -> Option<Self> {
        let product = match exponent {
            2 => self.times(&self)?,
            3 => self.times(&self)?.times(&self)?,
            _ => return None,
        };
        Some(Self { rank: product.rank.max(rank), ..product })
    }

    fn joined(&self, other: &Self) -> Self {
        let nodes = self.nodes.union(&other.nodes).copied().collect();
        Self { factors: self.factors, nodes, rank: self.rank.max(other.rank) }
    }

    /// Whether the factors are those, as single floats round them.
    pub(super) fn is(&self, wanted: [f64; DEGREE + 1]) -> bool {
        self.factors.iter().zip(wanted).all(|(factor, wanted)| close(*factor, wanted))
    }
}

/// Whether a number that went through some single floats is another.
pub(super) fn close(number: f64, wanted: f64) -> bool {
    const ROUNDED: f64 = 5e-7;
    (number - wanted).abs() <= ROUNDED * wanted.abs()
}
