//! The pure crates stay pure: no async runtime and no network in their trees.

use std::process::Command;

#[test]
fn pure_crates_have_neither_tokio_nor_hyper() {
    for package in ["slipway-plan", "slipway-api", "slipway-kernels", "slipway-model"] {
        let cargo = std::env::var("CARGO").expect("cargo runs the tests");
        let output = Command::new(cargo)
            .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", package])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout);
        assert!(tree.lines().count() > 0, "{package} has a tree");
        for impure in ["tokio", "hyper", "reqwest", "kube"] {
            let found = tree.lines().any(|line| line.split(' ').next() == Some(impure));
            assert!(!found, "{package} depends on {impure}");
        }
    }
}
