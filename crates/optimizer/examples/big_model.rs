//! Writes a model of `N` multiplications of 4096 × 4096 floats, 64 MiB each, as external data.
//!
//! ```text
//! big_model FOLDER [N]        # N = 16: 1.07 GB in FOLDER/model.onnx and FOLDER/model.onnx.data
//! ```

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use slipway_model::onnx::build::{ModelBuilder, external_tensor};

const SIDE: usize = 4096;
const BYTES: usize = SIDE * SIDE * 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: big_model FOLDER [N]")?;
    let layers: usize = arguments.next().map_or(Ok(16), |layers| layers.parse())?;
    fs::create_dir_all(&folder)?;
    structure(layers).write(&Path::new(&folder).join("model.onnx"))?;
    weights(&Path::new(&folder).join("model.onnx.data"), layers)
}

fn structure(layers: usize) -> ModelBuilder {
    let side = i64::try_from(SIDE).unwrap_or(i64::MAX);
    let mut model = ModelBuilder::new().input("h0", &[-1, side]).output(&format!("h{layers}"), &[-1, side]);
    for layer in 0..layers {
        let entries = [
            ("location", "model.onnx.data".to_owned()),
            ("offset", (layer * BYTES).to_string()),
            ("length", BYTES.to_string()),
        ];
        let entries = entries.each_ref().map(|(key, value)| (*key, value.as_str()));
        let weight = format!("w{layer}");
        model = model.initializer(external_tensor(&weight, &[side, side], &entries)).node(
            "MatMul",
            &[&format!("h{layer}"), &weight],
            &[&format!("h{}", layer + 1)],
        );
    }
    model
}

/// Numbers like those of trained layers: a bell of small values, no two rows alike.
fn weights(path: &Path, layers: usize) -> Result<(), Box<dyn Error>> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..layers * SIDE * SIDE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let sum: i32 = state.to_le_bytes().map(i32::from).into_iter().sum();
        let low = (state >> 32) & 0xffff;
        let value = (f64::from(sum - 1020) + f64::from(u16::try_from(low)?) / 65_536.0) * 1e-4;
        #[expect(clippy::cast_possible_truncation, reason = "a weight is a single-precision number")]
        file.write_all(&(value as f32).to_le_bytes())?;
    }
    Ok(file.flush()?)
}
