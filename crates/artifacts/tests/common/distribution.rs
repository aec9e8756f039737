//! A real CNCF Distribution on loopback, also for the tests of other crates.
//!
//! The `registry` binary is looked for in `bin` of `$SLIPWAY_CACHE` or `~/.cache/slipway`; without it there is none, and
//! that is said.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running registry with storage of its own; it ends with this value.
pub(crate) struct Distribution {
    process: Child,
    pub(crate) host: String,
    pub(crate) dir: tempfile::TempDir,
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn binary() -> Option<PathBuf> {
    let named = std::env::var_os("SLIPWAY_CACHE").map(PathBuf::from);
    let cache = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/slipway")))?;
    let binary = cache.join("bin/registry");
    if !binary.is_file() {
        eprintln!("skipped: no {} (CNCF Distribution v3); scripts/setup.sh makes it", binary.display());
        return None;
    }
    Some(binary)
}

/// Starts a registry that speaks HTTP.
pub(crate) fn start() -> Option<Distribution> {
    start_in(tempfile::tempdir().unwrap(), "")
}

/// Starts with a further piece of configuration for its `http` section.
pub(crate) fn start_in(dir: tempfile::TempDir, http: &str) -> Option<Distribution> {
    let binary = binary()?;
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n  delete: {{ enabled: true }}\nhttp: {{ addr: \"{host}\"{http} }}\n",
        dir.path().join("data").display()
    );
    let file = dir.path().join("config.yml");
    fs::write(&file, config).unwrap();
    let process = Command::new(binary)
        .arg("serve")
        .arg(&file)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let distribution = Distribution { process, host, dir };
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&distribution.host).is_err() {
        assert!(Instant::now() < deadline, "the registry did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(distribution)
}
