//! Quantizes one file and prints the report as JSON; what `bench/quantize.sh` measures.
//!
//! ```text
//! quantize_file INPUT OUTPUT [per-tensor|per-channel]
//! ```

use std::error::Error;
use std::path::PathBuf;

use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Granularity, Method, Options, quantize};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: quantize_file INPUT OUTPUT [per-tensor|per-channel]".into());
    };
    let granularity = match arguments.next().as_deref().and_then(|name| name.to_str()) {
        None | Some("per-channel") => Granularity::PerChannel,
        Some("per-tensor") => Granularity::PerTensor,
        Some(other) => return Err(format!("unknown granularity {other}").into()),
    };
    let method = Method::Dynamic { granularity, reduce_range: true };
    let options = Options { method, ..Options::default() };
    let report = quantize(&input, &output, &options, &Silent)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
