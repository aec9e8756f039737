//! The public Python client, where it is installed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a function that cannot work fails its test")]

mod common;

use common::{doubling, start};
use slipway_server::BackendChoice;
use tokio::process::Command;

for_each_engine!(public_client_library_works_over_both_protocols);

async fn public_client_library_works_over_both_protocols(backend: BackendChoice) {
    let server = start(backend, &doubling(), |_| {}).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/triton_check.py");
    let python = std::env::var("SLIPWAY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&python);
    command.args([script, &server.running.addr.to_string(), "doubler"]);
    match command.output().await {
        Err(error) => println!("skipped: {python}: {error}"),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            println!("{text}");
            assert!(output.status.success(), "{text}");
        }
    }
    server.ended().await;
}
