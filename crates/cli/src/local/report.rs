//! What a run gained: the report that is printed and, with `--json`, given to scripts.

use std::time::Duration;

use serde::Serialize;
use slipway_api::status::{CheckStatus, GateStatus, StageState, StageStatus, Verdict};

use super::{Road, serve::Latency};
use crate::output::{bytes, short, table};

/// What a run gained.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    name: String,
    stages: Vec<Row>,
    gate: Option<GateStatus>,
    #[serde(flatten)]
    serving: Option<Serving>,
}

/// How what passed was served.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Serving {
    /// The engine that computed, with its version.
    pub(crate) engine: String,
    pub(crate) url: String,
    pub(crate) predictions: Option<Latency>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(flatten)]
    status: StageStatus,
    seconds: f64,
    reused: bool,
}

impl Report {
    pub(crate) fn new(road: &Road, serving: Option<Serving>) -> Self {
        let row = |status: &StageStatus| {
            let time = road.times.iter().find(|(step, _, _)| *step == status.name);
            let (took, reused) = time.map_or((Duration::ZERO, false), |(_, took, reused)| (*took, *reused));
            Row { status: status.clone(), seconds: took.as_secs_f64(), reused }
        };
        Self {
            name: road.name.clone(),
            stages: road.status.stages.iter().map(row).collect(),
            gate: road.status.gate.clone(),
            serving,
        }
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let mut parts = vec![self.name.clone(), self.stage_table()];
        parts.extend(self.gate.as_ref().map(|gate| verdict_table(gate, true)));
        parts.extend(self.serving.as_ref().map(Serving::text));
        parts.join("\n\n")
    }

    fn stage_table(&self) -> String {
        let source =
            self.stages.iter().find(|row| row.status.kind == "source").and_then(|row| row.status.size_bytes);
        let mut before = source;
        let rows: Vec<_> = self
            .stages
            .iter()
            .map(|row| {
                let is_model = !matches!(row.status.kind.as_str(), "data" | "gate" | "source");
                let size = |size: Option<i64>| {
                    size.and_then(|size| u64::try_from(size).ok()).map(bytes).unwrap_or_default()
                };
                let sizes = if is_model {
                    [size(before), size(row.status.size_bytes)]
                } else {
                    [String::new(), size(row.status.size_bytes)]
                };
                if is_model {
                    before = row.status.size_bytes.or(before);
                }
                let time = match row.status.state {
                    StageState::Pending | StageState::Running => String::new(),
                    _ if row.reused => "cached".to_owned(),
                    _ => format!("{:.2} s", row.seconds),
                };
                let digest = row.status.output_digest.as_deref().map(short).unwrap_or_default();
                let [from, to] = sizes;
                vec![
                    row.status.name.clone(),
                    row.status.kind.clone(),
                    state(row.status.state).into(),
                    from,
                    to,
                    time,
                    digest,
                ]
            })
            .collect();
        table(&["STAGE", "KIND", "STATE", "SIZE BEFORE", "SIZE AFTER", "TIME", "DIGEST"], &rows)
    }
}

impl Serving {
    fn text(&self) -> String {
        let asked = self.predictions.map(|Latency { requests, p50_ms, p95_ms }| {
            format!(
                " and asked for {requests} real predictions: p50 {p50_ms:.2} ms, p95 {p95_ms:.2} ms (one client)"
            )
        });
        format!("served in {}{}", self.engine, asked.unwrap_or_default())
    }
}

fn state(state: StageState) -> &'static str {
    match state {
        StageState::Pending => "pending",
        StageState::Running => "running",
        StageState::Succeeded => "done",
        StageState::Failed => "FAILED",
    }
}

/// What a gate measured, one threshold a line; `judged` adds what was wanted and the verdict.
pub(crate) fn verdict_table(gate: &GateStatus, judged: bool) -> String {
    let or_empty = |value: &Option<String>| value.clone().unwrap_or_default();
    let row = |check: &CheckStatus| {
        let measured = [&check.reference, &check.measured, &check.low, &check.high].map(or_empty);
        let mut row = vec![check.name.clone()];
        row.extend(measured);
        if judged {
            row.extend([or_empty(&check.threshold), verdict(check.verdict).to_owned()]);
        }
        row.push(check.n.to_string());
        row
    };
    let rows: Vec<_> = gate.checks.iter().map(row).collect();
    if judged {
        table(&["CHECK", "BASELINE", "MEASURED", "LOW", "HIGH", "WANTED", "VERDICT", "SAMPLES"], &rows)
    } else {
        table(&["CHECK", "BASELINE", "MEASURED", "LOW", "HIGH", "SAMPLES"], &rows)
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Reported => "reported",
    }
}
