//! Quantizes one file and prints the report as JSON; what the benchmarks measure.
//!
//! ```text
//! quantize_file DIGEST INPUT OUTPUT [dynamic|eight|blocks|four|half [per-tensor|per-channel]]
//! ```
//!
//! DIGEST is that of the input, which a pipeline knows from the step before: hashing is not measured here.

use std::error::Error;
use std::path::PathBuf;

use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Fit, Granularity, HalfFloat, Method, Options, quantize};

const USAGE: &str =
    "usage: quantize_file DIGEST INPUT OUTPUT [dynamic|eight|blocks|four|half [per-tensor|per-channel]]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [digest, input, output, rest @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let granularity = match rest.get(1).map(String::as_str) {
        None | Some("per-channel") => Granularity::PerChannel,
        Some("per-tensor") => Granularity::PerTensor,
        Some(_) => return Err(USAGE.into()),
    };
    let method = match rest.first().map(String::as_str) {
        None | Some("dynamic") => Method::Dynamic { granularity, reduce_range: true },
        Some("eight") => Method::Eight { granularity },
        Some("blocks") => Method::EightInBlocks { block: 64, fit: Fit::default() },
        Some("four") => Method::Four { block: 32, zero_points: false, fit: Fit::Nearest },
        Some("half") => Method::Half { float: HalfFloat::Float16 },
        Some(_) => return Err(USAGE.into()),
    };
    let options = Options { method, source: Some(digest.clone()), ..Options::default() };
    let report = quantize(&PathBuf::from(input), &PathBuf::from(output), &options, &Silent)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
