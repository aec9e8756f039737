//! How the channels of a tensor lie in memory.

/// A row-major tensor whose channels lie along one axis, and whether it is written transposed.
///
/// The right operand of a `MatMul` has its channels innermost, the kernel of a `Conv` outermost.
/// The matrices of a batch have channels of their own. Only a matrix is ever transposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The dimensions as they are stored.
    pub(crate) dims: Vec<i64>,
    /// How many of the first axes count matrices.
    pub(crate) batch: usize,
    /// The axis of the channels, in `dims`.
    pub(crate) axis: usize,
    /// Whether the result has its two axes swapped.
    pub(crate) transposed: bool,
}

impl Layout {
    /// Number of elements.
    pub(crate) fn elements(&self) -> usize {
        product(&self.dims)
    }

    /// Number of channels, over all matrices.
    pub(crate) fn channels(&self) -> usize {
        product(&self.dims[..self.batch]) * self.width()
    }

    /// Number of channels of one matrix.
    pub(crate) fn width(&self) -> usize {
        product(&self.dims[self.axis..=self.axis])
    }

    /// Elements of one matrix.
    pub(crate) fn matrix(&self) -> usize {
        product(&self.dims[self.batch..])
    }

    /// Elements of one channel that lie side by side.
    pub(crate) fn inner(&self) -> usize {
        product(&self.dims[self.axis + 1..])
    }

    /// Elements behind one index of the first axis.
    pub(crate) fn row(&self) -> usize {
        product(&self.dims[1..])
    }

    /// The dimensions of the result.
    pub(crate) fn result_dims(&self) -> Vec<i64> {
        let mut dims = self.dims.clone();
        if self.transposed {
            dims.reverse();
        }
        dims
    }
}

/// The product of dimensions that were checked when the model was opened.
fn product(dims: &[i64]) -> usize {
    dims.iter().map(|dim| usize::try_from(*dim).expect("a dimension was checked on opening")).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_says_how_channels_lie() {
        let layout = Layout { dims: vec![2, 3, 4, 5], batch: 1, axis: 1, transposed: false };
        assert_eq!((layout.channels(), layout.width(), layout.inner()), (6, 3, 20));
        let last = Layout { dims: vec![2, 3], batch: 0, axis: 1, transposed: true };
        assert_eq!((last.channels(), last.inner()), (3, 1));
        assert_eq!(last.result_dims(), [3, 2]);
    }
}
