//! Tags that stay in the artifact registry because it cannot or does not remove them: told, and never in the way.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use slipway_plan::Event;

use crate::registry::RegistryError;

/// What was told of each object, by its uid: whether the registry refused.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    told: Mutex<HashMap<String, bool>>,
}

impl Leftovers {
    /// The event about a trouble with an object's tags, once as long as it lasts; a registry that deletes nothing will
    /// not change its mind, so that is told once.
    pub(crate) fn news(&self, uid: &str, trouble: Option<&RegistryError>) -> Option<Event> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = trouble else {
            told.retain(|known, refused| known != uid || *refused);
            return None;
        };
        let before = told.insert(uid.to_owned(), error.refused);
        (before != Some(error.refused)).then(|| event(error))
    }

    /// Forgets objects that are not kept.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| keep(uid));
    }
}

fn event(RegistryError { repository, message, refused }: &RegistryError) -> Event {
    if *refused {
        return left_behind(repository, message);
    }
    Event {
        warning: true,
        reason: "TagsNotRemoved".into(),
        message: format!("tags of earlier revisions stay in {repository}; it is tried again: {message}"),
    }
}

/// Tells that tags stay for good.
pub(crate) fn left_behind(repository: &str, why: &str) -> Event {
    Event {
        warning: true,
        reason: "ArtifactsLeftBehind".into(),
        message: format!(
            "the registry could not remove the tags of {repository}, so its artifacts stay; remove them by hand: {why}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(refused: bool) -> RegistryError {
        RegistryError { repository: "r.test/vision/net".into(), message: "no".into(), refused }
    }

    fn reason(event: Option<Event>) -> Option<String> {
        event.map(|event| event.reason)
    }

    #[test]
    fn a_trouble_is_told_once_while_it_lasts_and_a_refusal_once() {
        let leftovers = Leftovers::default();
        let news = |trouble: Option<&RegistryError>| reason(leftovers.news("u", trouble));
        assert_eq!(news(Some(&error(false))).as_deref(), Some("TagsNotRemoved"));
        assert_eq!(news(Some(&error(false))), None);
        assert_eq!(news(None), None);
        assert_eq!(news(Some(&error(false))).as_deref(), Some("TagsNotRemoved"));
        assert_eq!(news(Some(&error(true))).as_deref(), Some("ArtifactsLeftBehind"));
        assert_eq!(news(None), None);
        assert_eq!(news(Some(&error(true))), None);
        assert_eq!(reason(leftovers.news("v", Some(&error(true)))).as_deref(), Some("ArtifactsLeftBehind"));
        leftovers.retain(|uid| uid != "u");
        assert_eq!(news(Some(&error(true))).as_deref(), Some("ArtifactsLeftBehind"));
    }
}
