use k8s_openapi::api::core::v1::Service as Object;
use serde_json::json;
use slipway_api::names;
use slipway_plan::Service;

use super::*;

/// A Service of `owner` with a resource version, selecting a revision.
fn service(name: &str, owner: &str, version: u64, revision: &str) -> Object {
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "vision", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "managedFields": [{ "manager": "m" }],
            "ownerReferences": [{ "apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "name": owner,
                                  "uid": format!("uid-{owner}"), "controller": true }],
        },
        "spec": { "selector": { names::REVISION_LABEL: revision } },
        "status": { "loadBalancer": {} },
    }))
    .unwrap()
}

fn key(name: &str) -> Key {
    Key { namespace: "vision".into(), name: name.into() }
}

fn listed(objects: Vec<Object>) -> Cache<Service> {
    let cache = Cache::default();
    relist(&cache, objects);
    cache
}

fn relist(cache: &Cache<Service>, objects: Vec<Object>) -> Vec<Key> {
    cache.handle(&Event::Init);
    for object in objects {
        cache.handle(&Event::InitApply(object));
    }
    cache.handle(&Event::InitDone)
}

fn revision(cache: &Cache<Service>, name: &str) -> Option<String> {
    cache.get(&key(name)).and_then(|entry| entry.seen.revision.clone())
}

#[test]
fn children_are_found_by_owner_and_only_by_the_one_of_that_uid() {
    let cache = listed(vec![
        service("a", "net", 1, "r1"),
        service("b", "net", 2, "r1"),
        service("c", "other", 3, "r2"),
    ]);
    assert_eq!(cache.of(&key("net"), "uid-net").len(), 2);
    assert_eq!(cache.of(&key("net"), "uid-of-an-earlier-net").len(), 0);
    assert_eq!(cache.of(&key("nobody"), "uid-nobody").len(), 0);
}

#[test]
fn a_body_holds_what_is_compared_and_nothing_that_changes_by_itself() {
    let cache = listed(vec![service("a", "net", 1, "r1")]);
    let body = cache.get(&key("a")).unwrap().body.clone().unwrap();
    assert!(body.contains("selector") && body.contains("ownerReferences"), "{body}");
    for noise in ["managedFields", "resourceVersion", "status"] {
        assert!(!body.contains(noise), "{body}");
    }
}

#[test]
fn our_own_write_is_seen_before_the_watch_delivers_it_and_an_older_event_does_not_undo_it() {
    let cache = listed(vec![service("a", "net", 5, "r1")]);
    cache.learn(&service("a", "net", 8, "r2"));
    assert_eq!(revision(&cache, "a").as_deref(), Some("r2"));
    assert_eq!(cache.handle(&Event::Apply(service("a", "net", 6, "r1"))), []);
    assert_eq!(revision(&cache, "a").as_deref(), Some("r2"));
    cache.handle(&Event::Apply(service("a", "net", 9, "r3")));
    assert_eq!(revision(&cache, "a").as_deref(), Some("r3"));
}

#[test]
fn a_late_answer_does_not_bring_back_what_the_watch_saw_go() {
    let cache = listed(Vec::new());
    cache.handle(&Event::Apply(service("a", "net", 5, "r1")));
    assert_eq!(cache.handle(&Event::Delete(service("a", "net", 7, "r1"))), [key("net")]);
    cache.learn(&service("a", "net", 5, "r1"));
    assert!(cache.get(&key("a")).is_none());
}

#[test]
fn a_new_list_replaces_all_and_touches_every_owner_before_and_after() {
    let cache = listed(vec![service("a", "net", 1, "r1")]);
    assert_eq!(relist(&cache, vec![service("b", "other", 4, "r2")]), [key("net"), key("other")]);
    assert!(cache.get(&key("a")).is_none() && cache.get(&key("b")).is_some());
}

#[test]
fn a_child_that_changes_hands_touches_both_owners() {
    let cache = listed(vec![service("a", "net", 1, "r1")]);
    assert_eq!(cache.handle(&Event::Apply(service("a", "other", 2, "r1"))), [key("net"), key("other")]);
    assert!(cache.of(&key("net"), "uid-net").is_empty());
}

#[test]
fn what_is_nobodys_is_left_out() {
    let mut orphan = service("a", "net", 2, "r1");
    orphan.metadata.owner_references = None;
    let cache = listed(vec![service("a", "net", 1, "r1")]);
    assert_eq!(cache.handle(&Event::Apply(orphan)), [key("net")], "it was ours until now");
    assert!(cache.get(&key("a")).is_none());
}

#[test]
fn an_amended_child_keeps_the_rest_and_yields_to_the_watch() {
    let cache = listed(vec![service("a", "net", 5, "r1")]);
    cache.amend(&key("a"), 7, |seen| seen.revision = Some("ours".into()));
    assert_eq!(revision(&cache, "a").as_deref(), Some("ours"));
    assert!(cache.get(&key("a")).unwrap().body.is_some());
    cache.handle(&Event::Apply(service("a", "net", 7, "r2")));
    assert_eq!(revision(&cache, "a").as_deref(), Some("r2"));
    cache.amend(&key("a"), 6, |seen| seen.revision = Some("late".into()));
    assert_eq!(revision(&cache, "a").as_deref(), Some("r2"));
}

#[tokio::test]
async fn it_is_ready_after_its_first_whole_list() {
    let cache: Cache<Service> = Cache::default();
    let waits = tokio::time::timeout(std::time::Duration::from_millis(20), cache.wait_until_ready()).await;
    assert!(waits.is_err());
    relist(&cache, Vec::new());
    cache.wait_until_ready().await;
}
