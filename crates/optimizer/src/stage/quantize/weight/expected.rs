//! What is expected of the sums of a weight's products, before and after it is quantized.

use slipway_kernels::quantize::{expected_of_columns, expected_of_row};

use super::Weight;
use super::layout::Layout;

/// Expected sums by the means of each product that asks for them: of the floats, and of what stands for them.
pub(super) struct Expected<'w> {
    layout: &'w Layout,
    products: Vec<Product>,
}

struct Product {
    /// For each group of output channels, the mean of what each weight of one of them meets.
    means: Vec<f64>,
    floats: Vec<f64>,
    stored: Vec<f64>,
}

impl<'w> Expected<'w> {
    /// Nothing is known yet of the products whose biases are going to be corrected.
    pub(super) fn of(weight: &'w Weight) -> Self {
        let integers = weight.biases.iter().filter_map(|bias| bias.means.as_deref());
        let floats = weight.corrected.iter().map(|bias| &*bias.means);
        let layout = &weight.layout;
        let product = |means: &[f64]| Product {
            means: means.to_vec(),
            floats: vec![0.0; layout.width()],
            stored: vec![0.0; layout.width()],
        };
        Self { layout, products: integers.chain(floats).map(product).collect() }
    }

    /// Whether anybody asks.
    pub(super) fn is_asked(&self) -> bool {
        !self.products.is_empty()
    }

    /// Adds weights that lie side by side from index `start` on, and what stands for them.
    pub(super) fn add(&mut self, start: usize, floats: &[f32], stored: &[f32]) {
        for product in &mut self.products {
            add(self.layout, &product.means, &mut product.floats, start, floats);
            add(self.layout, &product.means, &mut product.stored, start, stored);
        }
    }

    /// Adds weights that lie side by side from index `start` on.
    pub(super) fn add_floats(&mut self, start: usize, floats: &[f32]) {
        for product in &mut self.products {
            add(self.layout, &product.means, &mut product.floats, start, floats);
        }
    }

    /// Adds what stands for all weights of a channel, in the order of its sums.
    pub(super) fn add_stored_channel(&mut self, channel: usize, stored: &[f32]) {
        for product in &mut self.products {
            let first = group(self.layout, &product.means, channel) * stored.len();
            let means = &product.means[first..first + stored.len()];
            product.stored[channel] += expected_of_row(stored, means);
        }
    }

    /// By how much the sums of each channel are off, for one product after the other: integer biases come first.
    pub(super) fn shifts(&self) -> impl Iterator<Item = Vec<f64>> {
        let shift = |product: &Product| {
            product.stored.iter().zip(&product.floats).map(|(stored, float)| stored - float).collect()
        };
        self.products.iter().map(shift)
    }
}

fn add(layout: &Layout, means: &[f64], sums: &mut [f64], start: usize, values: &[f32]) {
    let row = layout.row();
    let mut done = 0;
    while done < values.len() {
        let (index, place) = ((start + done) / row, (start + done) % row);
        let values = &values[done..values.len().min(done + row - place)];
        if layout.axis == 0 {
            let first = group(layout, means, index) * row + place;
            sums[index] += expected_of_row(values, &means[first..first + values.len()]);
        } else {
            expected_of_columns(values, &means[index..=index], &mut sums[place..place + values.len()]);
        }
        done += values.len();
    }
}

/// The group of input channels that an output channel takes: its own for each group of a convolution.
fn group(layout: &Layout, means: &[f64], channel: usize) -> usize {
    let depth = layout.matrix() / layout.width();
    let groups = (means.len() / depth).max(1);
    channel * groups / layout.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taps(layout: &Layout) -> usize {
        layout.dims[2..].iter().map(|dim| usize::try_from(*dim).unwrap()).product()
    }

    /// Sums by definition: each weight times the mean of its input channel.
    fn by_definition(layout: &Layout, means: &[f64], values: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; layout.width()];
        let dims: Vec<usize> = layout.dims.iter().map(|dim| usize::try_from(*dim).unwrap()).collect();
        for (index, value) in values.iter().enumerate() {
            let (first, rest) = (index / layout.row(), index % layout.row());
            let (channel, input) = if layout.axis == 1 {
                (rest, first)
            } else {
                let group = first / (dims[0] * dims[1] / means.len());
                (first, group * dims[1] + rest / taps(layout))
            };
            sums[channel] += means[input] * f64::from(*value);
        }
        sums
    }

    #[test]
    fn every_weight_meets_the_mean_of_its_input_however_it_is_cut() {
        for (dims, axis, inputs) in [
            (vec![3, 4], 1, 3),
            (vec![4, 3], 0, 3),
            (vec![4, 3, 2, 2], 0, 3),
            (vec![4, 1, 3], 0, 4),
            (vec![4, 1, 3], 0, 2),
            (vec![6, 2, 2], 0, 6),
        ] {
            let layout = Layout { dims: dims.clone(), batch: 0, axis, transposed: false };
            let means: Vec<f64> = (0..inputs).map(|index| f64::from(index * index) - 2.5).collect();
            let values: Vec<f32> =
                (0..layout.elements()).map(|index| [-4.0, 3.0, 0.5, 2.0, -1.0][index * 7 % 5]).collect();
            let wanted = by_definition(&layout, &means, &values);
            let spread: Vec<f64> =
                means.iter().flat_map(|mean| std::iter::repeat_n(*mean, taps(&layout))).collect();
            for cut in 0..=values.len() {
                let mut sums = vec![0.0; layout.width()];
                add(&layout, &spread, &mut sums, 0, &values[..cut]);
                add(&layout, &spread, &mut sums, cut, &values[cut..]);
                let near = sums.iter().zip(&wanted).all(|(sum, wanted)| (sum - wanted).abs() < 1e-9);
                assert!(near, "{dims:?} cut at {cut}: {sums:?}, not {wanted:?}");
            }
        }
    }
}
