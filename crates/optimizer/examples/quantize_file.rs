//! Quantizes one file and prints the report as JSON; what the benchmarks measure.
//!
//! ```text
//! quantize_file INPUT OUTPUT [dynamic|weights [per-tensor|per-channel]]
//! ```

use std::error::Error;
use std::path::PathBuf;

use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Granularity, Method, Options, quantize};

const USAGE: &str = "usage: quantize_file INPUT OUTPUT [dynamic|weights [per-tensor|per-channel]]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, rest @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let granularity = match rest.get(1).map(String::as_str) {
        None | Some("per-channel") => Granularity::PerChannel,
        Some("per-tensor") => Granularity::PerTensor,
        Some(_) => return Err(USAGE.into()),
    };
    let method = match rest.first().map(String::as_str) {
        None | Some("dynamic") => Method::Dynamic { granularity, reduce_range: true },
        Some("weights") => Method::WeightOnly { granularity },
        Some(_) => return Err(USAGE.into()),
    };
    let options = Options { method, ..Options::default() };
    let report = quantize(&PathBuf::from(input), &PathBuf::from(output), &options, &Silent)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
