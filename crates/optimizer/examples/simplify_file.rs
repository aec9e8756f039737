//! Simplifies one file and prints the report as JSON; what the benchmarks measure.
//!
//! ```text
//! simplify_file INPUT OUTPUT
//! ```

use std::error::Error;
use std::path::PathBuf;

use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::simplify::{Options, simplify};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("usage: simplify_file INPUT OUTPUT".into());
    };
    let report = simplify(&PathBuf::from(input), &PathBuf::from(output), &Options::default(), &Silent)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
