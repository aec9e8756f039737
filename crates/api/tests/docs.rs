//! Every reason that a condition can carry stands in the documentation.

use slipway_api::condition::reason;

#[test]
fn every_reason_is_documented() {
    let docs = include_str!("../../../docs/conditions.md");
    let missing: Vec<_> =
        reason::ALL.iter().filter(|reason| !docs.contains(&format!("`{reason}`"))).collect();
    assert!(missing.is_empty(), "docs/conditions.md lacks {missing:?}");
}
