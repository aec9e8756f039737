//! Which crate may depend on which, and that the pure ones stay pure: no async runtime and no network in their trees.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn cargo(args: &[&str]) -> String {
    let output = Command::new(std::env::var("CARGO").expect("cargo runs the tests"))
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The arrows of the table in docs/architecture.md.
fn documented() -> Arrows {
    let rows = include_str!("../../../docs/architecture.md").lines().filter(|line| line.starts_with("| `"));
    let names =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let [name, _, arrows] = cells[..] else { panic!("{row}") };
        (names(name).into_iter().next().expect("a name"), names(arrows))
    })
    .collect()
}

/// The arrows of the workspace's crates, dev-dependencies left out.
fn built() -> Arrows {
    let text = cargo(&["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let ours = |name: &serde_json::Value| {
        name.as_str().and_then(|name| name.strip_prefix("slipway-")).map(str::to_owned)
    };
    let arrows = |package: &serde_json::Value| {
        let normal =
            package["dependencies"].as_array().expect("a list").iter().filter(|one| one["kind"].is_null());
        normal.filter_map(|one| ours(&one["name"])).collect()
    };
    let packages = metadata["packages"].as_array().expect("a list").iter();
    packages.filter_map(|package| Some((ours(&package["name"])?, arrows(package)))).collect()
}

#[test]
fn crates_depend_on_each_other_as_the_table_says() {
    let built = built();
    assert_eq!(documented(), built);
    assert!(built.values().all(|arrows| !arrows.contains("testkit")), "it is for tests alone");
}

#[test]
fn pure_crates_have_neither_tokio_nor_hyper() {
    for package in ["slipway-plan", "slipway-api", "slipway-kernels", "slipway-model"] {
        let tree =
            cargo(&["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", package]);
        assert!(tree.lines().count() > 0, "{package} has a tree");
        for impure in ["tokio", "hyper", "reqwest", "kube"] {
            let found = tree.lines().any(|line| line.split(' ').next() == Some(impure));
            assert!(!found, "{package} depends on {impure}");
        }
    }
}
