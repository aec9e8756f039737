//! Commands, run to their end.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Where the programs of the tests lie: `SLIPWAY_CACHE`, or the cache folder of this user.
pub fn cache() -> PathBuf {
    let set = std::env::var_os("SLIPWAY_CACHE").map(PathBuf::from);
    set.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/slipway"))
}

/// A program of the cache, such as `helm`.
pub fn program(name: &str) -> PathBuf {
    cache().join("bin").join(name)
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command printed, or what it complained of.
///
/// # Errors
/// With its standard error when it does not end with 0.
pub fn run(command: &mut Command, input: Option<&str>) -> Result<String, String> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let spawned = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}
