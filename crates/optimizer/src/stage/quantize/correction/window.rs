//! How a kernel moves over its input.

use slipway_model::onnx::proto::NodeProto;

use crate::graph::{attribute, ints_of};

/// Sizes beyond which products of them may overflow.
const LARGEST: i64 = 1 << 20;

/// The kernel of a convolution, axis by axis; none of a product of matrices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    axes: Vec<Axis>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Axis {
    taps: i64,
    stride: i64,
    dilation: i64,
    pad: Pad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pad {
    /// Before and behind.
    Given(i64, i64),
    /// As much as an output for every stride needs; an odd one is behind, or before.
    Same { odd_before: bool },
}

impl Window {
    /// The window of a convolution with a kernel of so many taps along each axis.
    pub(super) fn of(node: &NodeProto, kernel: &[i64]) -> Result<Self, &'static str> {
        const WRONG: &str = "its strides, dilations or pads are none of a convolution";
        let space = kernel.len();
        let list = |name, usual: i64, count: usize| {
            let values = ints_of(node, name).map_or_else(|| vec![usual; count], <[i64]>::to_vec);
            let sane = |value: &i64| (usual..LARGEST).contains(value);
            (values.len() == count && values.iter().all(sane)).then_some(values).ok_or(WRONG)
        };
        let (strides, dilations) = (list("strides", 1, space)?, list("dilations", 1, space)?);
        let pads = list("pads", 0, 2 * space)?;
        let auto = attribute(node, "auto_pad").map_or(&b"NOTSET"[..], |auto| auto.s());
        let pad = |axis: usize| match auto {
            b"SAME_UPPER" => Pad::Same { odd_before: false },
            b"SAME_LOWER" => Pad::Same { odd_before: true },
            b"VALID" => Pad::Given(0, 0),
            _ => Pad::Given(pads[axis], pads[space + axis]),
        };
        if !kernel.iter().all(|taps| (1..LARGEST).contains(taps)) {
            return Err(WRONG);
        }
        let axis = |axis: usize| Axis {
            taps: kernel[axis],
            stride: strides[axis],
            dilation: dilations[axis],
            pad: pad(axis),
        };
        Ok(Self { axes: (0..space).map(axis).collect() })
    }

    /// How many taps there are.
    pub(super) fn taps(&self) -> usize {
        self.axes.iter().map(|axis| usize::try_from(axis.taps).unwrap_or_default()).product()
    }

    /// For each tap, row-major, at how many places it lies on a value of a plane of some size; and how many places there are.
    /// Nothing for a plane of another number of axes, or smaller than the kernel.
    pub(super) fn inside(&self, plane: &[usize]) -> Option<(Vec<u64>, u64)> {
        if plane.len() != self.axes.len() {
            return None;
        }
        let (mut inside, mut places) = (vec![1], 1_u64);
        for (axis, size) in self.axes.iter().zip(plane) {
            let (of_axis, count) = axis.inside(i64::try_from(*size).ok().filter(|size| *size < LARGEST)?)?;
            inside = inside.iter().flat_map(|left| of_axis.iter().map(move |right| left * right)).collect();
            places = places.checked_mul(count)?;
        }
        Some((inside, places))
    }
}

impl Axis {
    /// The same along one axis.
    fn inside(&self, size: i64) -> Option<(Vec<u64>, u64)> {
        let reach = self.dilation * (self.taps - 1) + 1;
        let (before, behind) = match self.pad {
            Pad::Given(before, behind) => (before, behind),
            Pad::Same { odd_before } => {
                let places = (size + self.stride - 1) / self.stride;
                let all = ((places - 1) * self.stride + reach - size).max(0);
                let less = all / 2;
                if odd_before { (all - less, less) } else { (less, all - less) }
            }
        };
        let room = size + before + behind - reach;
        let places = if room < 0 { return None } else { room / self.stride + 1 };
        let at = |tap: i64| {
            let shift = tap * self.dilation - before;
            // Places p with 0 <= p * stride + shift < size.
            let first = ((-shift).max(0) + self.stride - 1) / self.stride;
            let end = ((size - shift).max(0) + self.stride - 1) / self.stride;
            (end.min(places) - first).max(0).unsigned_abs()
        };
        Some(((0..self.taps).map(at).collect(), places.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::build::{ints, node, string};
    use slipway_model::onnx::proto::AttributeProto;

    use super::*;

    fn window(kernel: &[i64], attributes: Vec<AttributeProto>) -> Result<Window, &'static str> {
        Window::of(&node("Conv", &["x", "w"], &["y"], attributes), kernel)
    }

    /// The same by walking along every place.
    fn walked(size: i64, [taps, stride, dilation]: [i64; 3], [before, behind]: [i64; 2]) -> (Vec<u64>, u64) {
        let places = (size + before + behind - dilation * (taps - 1) - 1) / stride + 1;
        let is_inside = |tap, place| (0..size).contains(&(place * stride + tap * dilation - before));
        let of_tap = |tap| (0..places).filter(|place| is_inside(tap, *place)).count() as u64;
        ((0..taps).map(of_tap).collect(), places.unsigned_abs())
    }

    #[test]
    fn taps_are_counted_where_they_lie_on_values() {
        for size in [1, 2, 5, 8] {
            for shape in [[1, 1, 1], [3, 1, 1], [3, 2, 1], [3, 1, 2], [2, 3, 1], [5, 2, 2]] {
                for pads in [[0, 0], [1, 1], [2, 0], [4, 5]] {
                    let [taps, stride, dilation] = shape;
                    let window = window(
                        &[taps],
                        vec![ints("strides", &[stride]), ints("dilations", &[dilation]), ints("pads", &pads)],
                    );
                    let found = window.unwrap().inside(&[usize::try_from(size).unwrap()]);
                    let fits = size + pads[0] + pads[1] > dilation * (taps - 1);
                    assert_eq!(found, fits.then(|| walked(size, shape, pads)), "{size} {shape:?} {pads:?}");
                }
            }
        }
    }

    #[test]
    fn axes_are_multiplied_and_padding_can_be_automatic() {
        let same = window(&[3, 2], vec![string("auto_pad", "SAME_UPPER")]).unwrap();
        assert_eq!(same.taps(), 6);
        assert_eq!(same.inside(&[2, 2]), Some((vec![2, 1, 4, 2, 2, 1], 4)));
        let lower = window(&[3, 2], vec![string("auto_pad", "SAME_LOWER")]).unwrap();
        assert_eq!(lower.inside(&[2, 2]), Some((vec![1, 2, 2, 4, 1, 2], 4)));
        let valid = window(&[1, 2], vec![string("auto_pad", "VALID")]).unwrap();
        assert_eq!(valid.inside(&[2, 2]), Some((vec![2, 2], 2)));
        assert_eq!(valid.inside(&[2]), None);
    }

    #[test]
    fn what_no_convolution_has_is_refused() {
        for attribute in [
            ints("strides", &[0]),
            ints("pads", &[-1, 0]),
            ints("dilations", &[i64::MAX]),
            ints("pads", &[1]),
        ] {
            assert!(window(&[3], vec![attribute]).is_err());
        }
        assert!(window(&[i64::MAX], vec![]).is_err());
    }
}
