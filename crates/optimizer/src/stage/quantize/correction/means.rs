//! The means of what goes into products, on data.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use slipway_kernels::quantize::InputMeans;

use super::products::{Along, Product};
use super::window::Window;
use crate::calibrate::{CalibrateError, Data, Shown};
use crate::progress::Progress;
use crate::stage::quantize::QuantizeError;

/// What products share: the activation, which axis counts its channels, how many there are, and how a kernel moves over them.
type Key = (String, Along, usize, Window);

/// The mean of what each weight of an output meets, or why it is not known.
pub(super) type Means = Result<Arc<[f64]>, String>;

/// The means of each product's input.
pub(super) fn of(
    products: &[Product],
    model: &Path,
    data: &Data,
    progress: &dyn Progress,
) -> Result<Vec<Means>, QuantizeError> {
    let key =
        |product: &Product| (product.input.clone(), product.along, product.depth, product.window.clone());
    let mut seen: BTreeMap<Key, Result<InputMeans, String>> = products
        .iter()
        .map(|product| (key(product), Ok(InputMeans::new(product.depth * product.window.taps()))))
        .collect();
    let mut names: Vec<String> = seen.keys().map(|(name, ..)| name.clone()).collect();
    names.dedup();
    let shown = data.show(model, names, progress, &mut |shown| {
        for ((_, along, depth, window), means) in seen.iter_mut().filter(|((name, ..), _)| name == shown.name)
        {
            observe(means, &shown, *along, *depth, window);
        }
        Ok(())
    });
    shown.map_err(CalibrateError::from)?;
    let known: BTreeMap<Key, Means> =
        seen.into_iter().map(|(key, means)| (key, means.and_then(|means| finished(&means)))).collect();
    Ok(products.iter().map(|product| known[&key(product)].clone()).collect())
}

fn observe(
    means: &mut Result<InputMeans, String>,
    shown: &Shown<'_>,
    along: Along,
    depth: usize,
    window: &Window,
) {
    let Ok(of_inputs) = means else { return };
    let axis = match along {
        Along::Second => shown.shape.get(1),
        Along::Last => shown.shape.last(),
    };
    if axis != Some(&depth) {
        *means =
            Err(format!("its input has the shape {:?}, which does not hold {depth} channels", shown.shape));
    } else if let Some(place) = shown.values.iter().position(|value| !value.is_finite()) {
        *means = Err(format!("its input holds {} in sample {}", shown.values[place], shown.sample));
    } else {
        let plane = &shown.shape[2.min(shown.shape.len())..];
        match (along, window.inside(plane)) {
            (Along::Last, _) => of_inputs.observe(shown.values),
            (Along::Second, Some((inside, places))) => {
                of_inputs.observe_planes(shown.values, plane.iter().product(), &inside, places);
            }
            (Along::Second, None) => {
                *means =
                    Err(format!("its kernel does not fit into its input, of the shape {:?}", shown.shape));
            }
        }
    }
}

fn finished(means: &InputMeans) -> Means {
    means.means().map(Arc::from).ok_or_else(|| "its input has no element in any sample".to_owned())
}
