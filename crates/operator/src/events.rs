//! Events: told after the status is stored, and never a reason to fail.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::metrics::Metrics;

/// The API refuses a note of more than 1 kB.
const MAX_NOTE: usize = 1000;

/// Who tells events.
pub(crate) struct Events {
    recorder: Recorder,
    metrics: Metrics,
}

impl Events {
    pub(crate) fn new(client: Client, instance: Option<String>, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: "slipway.dev/operator".into(), instance };
        Self { recorder: Recorder::new(client, reporter), metrics }
    }

    /// Tells events about an object; those that repeat within minutes are counted on the one before.
    pub(crate) async fn tell(&self, object: &ObjectReference, events: &[slipway_plan::Event]) {
        for slipway_plan::Event { warning, reason, message } in events {
            let event = Event {
                type_: if *warning { EventType::Warning } else { EventType::Normal },
                reason: reason.clone(),
                note: Some(shorten(message)),
                action: "Reconcile".into(),
                secondary: None,
            };
            self.metrics.wrote("Event", "create");
            if let Err(error) = self.recorder.publish(&event, object).await {
                self.metrics.failed("Event");
                tracing::warn!(%error, reason, "an event could not be told");
            }
        }
    }
}

fn shorten(text: &str) -> String {
    if text.len() <= MAX_NOTE {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_NOTE - '…'.len_utf8());
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_fits_and_stays_text() {
        assert_eq!(shorten("short"), "short");
        let long = shorten(&"é".repeat(900));
        assert!(long.len() <= MAX_NOTE && long.ends_with('…'), "{}", long.len());
    }
}
