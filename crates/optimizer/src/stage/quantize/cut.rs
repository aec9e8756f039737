//! Where a matrix is cut into blocks whose integers keep their order.

use super::Method;
use super::select::Axes;

/// A matrix, or each of a batch, cut along its depth into blocks of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// The axis that is cut.
    axis: usize,
    /// Weights of a block.
    size: u32,
}

impl Cut {
    /// The cut of a constant of these dimensions; `None` where the method has no such blocks, the constant is no matrix,
    /// or blocks do not divide its depth.
    pub(super) fn of(method: Method, axes: Axes, dims: &[i64]) -> Option<Self> {
        let Method::EightInBlocks { block, .. } = method else { return None };
        let is_matrix = dims.len() == axes.batch + 2;
        let along = if axes.channels == axes.batch { axes.batch + 1 } else { axes.batch };
        let divides = |depth: &i64| *depth > 0 && depth % i64::from(block) == 0;
        dims.get(along).filter(|depth| is_matrix && divides(depth))?;
        Some(Self { axis: along, size: block })
    }

    /// Weights of a block.
    pub(super) fn size(self) -> usize {
        self.size as usize
    }

    /// The dimensions with the axis in two: the blocks, and the weights of each.
    pub(super) fn dims(self, dims: &[i64]) -> Vec<i64> {
        self.split(dims, self.size.into())
    }

    /// The dimensions that spread one value a block over those of [`dims`](Self::dims).
    pub(super) fn scale_dims(self, dims: &[i64]) -> Vec<i64> {
        self.split(dims, 1)
    }

    fn split(self, dims: &[i64], inner: i64) -> Vec<i64> {
        let (before, rest) = dims.split_at(self.axis);
        let blocks = rest[0] / i64::from(self.size);
        [before, &[blocks, inner], &rest[1..]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::quantize::Fit;

    #[test]
    fn blocks_lie_along_the_depth_and_divide_it() {
        let method = Method::EightInBlocks { block: 16, fit: Fit::Nearest };
        let cut = |channels, batch, dims: &[i64]| {
            let cut = Cut::of(method, Axes { channels, batch }, dims)?;
            Some((cut.dims(dims), cut.scale_dims(dims)))
        };
        assert_eq!(cut(1, 0, &[32, 5]), Some((vec![2, 16, 5], vec![2, 1, 5])), "K, N");
        assert_eq!(cut(0, 0, &[5, 32]), Some((vec![5, 2, 16], vec![5, 2, 1])), "N, K");
        assert_eq!(cut(2, 1, &[3, 32, 5]), Some((vec![3, 2, 16, 5], vec![3, 2, 1, 5])), "a batch");
        assert_eq!(cut(1, 1, &[1, 20, 16]), Some((vec![1, 20, 1, 16], vec![1, 20, 1, 1])), "a direction");
        assert_eq!(cut(1, 0, &[24, 16]), None, "not divided");
        assert_eq!(cut(0, 0, &[16, 16, 3]), None, "a kernel");
        assert_eq!(cut(1, 0, &[0, 16]), None, "nothing");
        assert_eq!(Cut::of(Method::default(), Axes { channels: 1, batch: 0 }, &[32, 5]), None);
    }
}
