//! Every object that the operator would make, foreseen: the plan itself, asked again after each simulated success.
//!
//! What only a step's run can tell is a placeholder in angle brackets, and so is every hash that depends on one.

mod answer;
mod placeholder;

use std::collections::BTreeSet;

use slipway_api::names;
use slipway_plan::{Desired, Observed, Plan, Revision, Settings, plan};

use crate::{
    error::Error,
    local::{finished, step},
};

/// Everything that the operator would make, in the order in which it would.
#[derive(Debug)]
pub(crate) struct Foreseen {
    /// The objects.
    pub(crate) objects: Vec<Desired>,
    /// Whether the object is suspended, so that nothing is started.
    pub(crate) suspended: bool,
}

/// Goes ahead in time until the plan asks for nothing new.
///
/// # Errors
/// [`Error::Spec`] for a spec that the operator would refuse.
pub(crate) fn foresee(mut observed: Observed, settings: &Settings) -> Result<Foreseen, Error> {
    // Without this kind in the cluster the operator makes no monitor, and all objects are wanted here.
    observed.monitoring.service_monitors = true;
    let (mut objects, mut seen) = (Vec::new(), BTreeSet::new());
    loop {
        let decided = accepted(&observed, settings)?;
        let is_new = |object: &Desired| seen.insert((object.kind.clone(), object.name.clone()));
        let news: Vec<_> = decided.apply.into_iter().filter(is_new).collect();
        if news.is_empty() {
            break;
        }
        for object in &news {
            happen(object, &mut observed)?;
        }
        objects.extend(news);
    }
    let suspended = observed.deployment.spec.suspend;
    Ok(Foreseen { objects: placeholder::mark(objects), suspended })
}

fn accepted(observed: &Observed, settings: &Settings) -> Result<Plan, Error> {
    let decided = plan(observed, settings);
    let accepted = &decided.progress.accepted;
    if accepted.is_failed() {
        let (name, reason) = (observed.deployment.name.clone(), accepted.reason.to_owned());
        return Err(Error::Spec { name, reason, message: accepted.message.clone() });
    }
    Ok(decided)
}

/// What follows once an object exists, as far as the plan waits for it.
fn happen(object: &Desired, observed: &mut Observed) -> Result<(), Error> {
    match object.kind.as_str() {
        "Job" => {
            let spec = step(object)?;
            observed.jobs.push(finished(object, &spec, answer::success(&spec)));
        }
        "ControllerRevision" => observed.revisions.push(revision(object)?),
        _ => {}
    }
    Ok(())
}

fn revision(object: &Desired) -> Result<Revision, Error> {
    let metadata = &object.body["metadata"];
    Ok(Revision {
        name: object.name.clone(),
        uid: object.name.clone(),
        hash: metadata["labels"][names::REVISION_LABEL].as_str().unwrap_or_default().to_owned(),
        number: object.body["revision"].as_i64().unwrap_or(1),
        data: serde_json::from_value(object.body["data"].clone()).map_err(|error| Error::model(&error))?,
    })
}
