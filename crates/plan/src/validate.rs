//! What a spec may not ask for, beyond what the CRD already refuses.

use slipway_api::{DataSet, ModelDeploymentSpec, Stage, StageKind, condition::reason};

use crate::Phase;

/// Whether a spec asks for something possible, in the cluster (`local` is false) or on a laptop.
///
/// What the CRD's own rules refuse is refused here again where a wrong value would do harm, since an older CRD may
/// be installed.
pub fn validate(spec: &ModelDeploymentSpec, local: bool) -> Phase {
    let problem = source_problem(spec, local)
        .or_else(|| stage_problem(spec))
        .or_else(|| form_problem(spec))
        .or_else(|| calibration_problem(spec))
        .or_else(|| gate_problem(spec))
        .or_else(|| role_problem(spec))
        .or_else(|| batching_problem(spec));
    if let Some(message) = problem {
        return Phase::failed(reason::INVALID_SPEC, message);
    }
    let but = advice(spec).map(|advice| format!("; but {advice}")).unwrap_or_default();
    Phase::done(reason::VALID, format!("the spec is valid{but}"))
}

/// What of a valid spec is possible, and probably not meant.
pub fn advice(spec: &ModelDeploymentSpec) -> Option<String> {
    let stage = spec.stages.iter().find(|stage| stage.calibrates().is_some())?;
    spec.serving.engine().may_be_rten().then(|| {
        format!(
            "stage {} quantizes statically, and the built-in engine does not fuse QuantizeLinear: \
             there the model is smaller and slower than with floats; set serving.runtime.slipway.backend to onnxruntime, \
             or take quantize.dynamic",
            stage.name
        )
    })
}

fn source_problem(spec: &ModelDeploymentSpec, local: bool) -> Option<String> {
    let sources = [("spec.model.source", &spec.model.source)];
    let data = spec.data.iter().map(|data| ("spec.data[].source", &data.source));
    sources.into_iter().chain(data).filter(|(_, source)| source.uri.starts_with("file://") && !local).map(|(path, source)| {
        format!("{path}.uri is {}: a cluster cannot read your disk; use configmap://, pvc://, https:// or oci:// (`slipway push`)", source.uri)
    }).next()
}

fn stage_problem(spec: &ModelDeploymentSpec) -> Option<String> {
    let empty = spec.stages.iter().find(|stage| stage.kind().is_none());
    if let Some(stage) = empty {
        return Some(format!("stage {} has no kind; write one: quantize, simplify or smooth", stage.name));
    }
    let methodless = |stage: &&Stage| matches!(stage.kind(), Some(StageKind::Quantize(quantize)) if quantize.method().is_none());
    spec.stages
        .iter()
        .find(methodless)
        .map(|stage| format!("stage {}: quantize has no method; write dynamic: {{}}", stage.name))
}

/// A form that an engine cannot load that may be taken.
fn form_problem(spec: &ModelDeploymentSpec) -> Option<String> {
    let backend = spec.serving.engine();
    let mut forms = spec.stages.iter().filter_map(|stage| {
        Some((&stage.name, stage.quantize.as_ref()?.weight_only.as_ref()?.needs_onnxruntime()?))
    });
    let (stage, [form, remedy]) = forms.find(|_| backend.may_be_rten())?;
    Some(format!(
        "stage {stage}: quantize.weightOnly has {form}, which the built-in engine (rten) cannot load, and \
         serving.runtime.slipway.backend is {}: set it to onnxruntime, or {remedy}",
        backend.name()
    ))
}

fn calibration_problem(spec: &ModelDeploymentSpec) -> Option<String> {
    let mut wanted = spec
        .stages
        .iter()
        .flat_map(|stage| stage.data_sets().map(move |(field, wanted)| (&stage.name, field, wanted)));
    wanted.find(|(_, _, wanted)| !spec.data.iter().any(|data| data.name == *wanted)).map(
        |(stage, field, wanted)| {
            format!("stage {stage}: {field} is {wanted}, and data has no set of that name")
        },
    )
}

fn gate_problem(spec: &ModelDeploymentSpec) -> Option<String> {
    let gate = spec.gate.as_ref()?;
    let Some(data) = spec.data.iter().find(|data| data.name == gate.data) else {
        return Some(format!("gate.data is {}, and data has no set of that name", gate.data));
    };
    let baseline = gate.baseline.as_ref().map_or("source", |baseline| baseline.stage.as_str());
    if baseline != "source" && !spec.stages.iter().any(|stage| stage.name == baseline) {
        return Some(format!(
            "gate.baseline.stage is {baseline}, which is neither source nor the name of a stage"
        ));
    }
    if gate.task.classification.is_none() {
        return Some("gate.task has no kind; write classification: {output: …}".into());
    }
    if !(0.5..1.0).contains(&gate.confidence.value()) {
        let confidence = &gate.confidence;
        return Some(format!("gate.confidence is {confidence}: it has to be at least 0.5 and below 1"));
    }
    if gate.checks.iter().any(|check| check.kind().is_none()) {
        return Some("a check of the gate has no kind; write accuracy, parity, size or latency".into());
    }
    let accuracy = gate.checks.iter().any(|check| check.accuracy.is_some());
    (accuracy && data.labels.is_none())
        .then(|| format!("the gate checks accuracy, and data set {} names no labels", data.name))
}

/// Data of the gate that a stage looks at too: what is judged on it would look better than it is.
fn role_problem(spec: &ModelDeploymentSpec) -> Option<String> {
    let judged =
        spec.data.iter().find(|data| Some(&data.name) == spec.gate.as_ref().map(|gate| &gate.data))?;
    let is_same = |name: &str| {
        let source = |data: &DataSet| data.name == name && data.source == judged.source;
        name == judged.name || spec.data.iter().any(source)
    };
    let mut looks = (spec.stages.iter())
        .flat_map(|stage| stage.data_sets().map(move |(field, name)| (&stage.name, field, name)));
    let (stage, field, name) = looks.find(|(_, _, name)| is_same(name))?;
    let source = if name == judged.name { "" } else { ", which has the same source" };
    Some(format!(
        "stage {stage}: {field} is {name}, and gate.data is {}{source}: a gate judges on data that no stage has seen; give the \
         stage a data set of its own",
        judged.name
    ))
}

/// The activations' scale spans a batch after dynamic quantization, so requests would change each other's answers.
fn batching_problem(spec: &ModelDeploymentSpec) -> Option<String> {
    let batching = spec.serving.batching.as_ref()?;
    let dynamic = spec.stages.iter().any(
        |stage| matches!(stage.kind(), Some(StageKind::Quantize(quantize)) if quantize.dynamic.is_some()),
    );
    (dynamic && batching.max_size > 1 && !batching.allow_cross_request_effects).then(|| {
        "serving.batching with quantize.dynamic: requests that share a batch would change each other's answers; \
         remove batching or set allowCrossRequestEffects: true"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(patch: &Value) -> ModelDeploymentSpec {
        let mut spec = json!({
            "model": { "source": { "uri": "configmap://net", "file": "net.onnx" } },
            "stages": [{ "name": "small", "quantize": { "dynamic": {} } }],
        });
        spec.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_minimal_spec_is_valid() {
        assert!(validate(&spec(&json!({})), false).is_done());
    }

    #[test]
    fn every_impossible_wish_names_its_field() {
        let gate = |checks: Value| json!({ "data": "set", "task": { "classification": { "output": "p" } }, "checks": checks });
        let baseline = json!({ "data": "set", "task": { "classification": { "output": "p" } }, "checks": [],
                               "baseline": { "stage": "nowhere" } });
        let data = json!([{ "name": "set", "source": { "uri": "configmap://d", "file": "d.npz" } }]);
        let cases = [
            (json!({ "model": { "source": { "uri": "file:///net.onnx" } } }), "file:///net.onnx"),
            (json!({ "stages": [{ "name": "empty" }] }), "stage empty"),
            (json!({ "stages": [{ "name": "hollow", "quantize": {} }] }), "stage hollow"),
            (json!({ "gate": gate(json!([])) }), "gate.data is set"),
            (
                json!({ "stages": [{ "name": "fixed", "quantize": { "static": { "data": "set" } } }] }),
                "stage fixed: quantize.static.data is set",
            ),
            (json!({ "data": data, "gate": gate(json!([{ "name": "c" }])) }), "check of the gate"),
            (json!({ "data": data, "gate": baseline }), "gate.baseline.stage is nowhere"),
            (
                json!({ "data": data, "gate": gate(json!([{ "name": "c", "accuracy": { "minimum": "0.9" } }])) }),
                "labels",
            ),
            (json!({ "serving": { "batching": { "maxSize": 8 } } }), "allowCrossRequestEffects"),
        ];
        for (patch, words) in cases {
            let phase = validate(&spec(&patch), false);
            assert!(phase.is_failed(), "{patch}");
            assert!(phase.message.contains(words), "{patch}: {}", phase.message);
        }
    }

    #[test]
    fn a_confidence_that_proves_nothing_is_refused() {
        let with = |confidence: &str| {
            json!({
                "data": [{ "name": "set", "source": { "uri": "configmap://d", "file": "d.npz" } }],
                "gate": { "data": "set", "task": { "classification": { "output": "p" } }, "checks": [],
                          "confidence": confidence },
            })
        };
        for wrong in ["0", "0.3", "0.499999", "1", "1.0"] {
            let phase = validate(&spec(&with(wrong)), false);
            assert!(phase.is_failed(), "{wrong}");
            assert!(phase.message.contains(&format!("gate.confidence is {wrong}:")), "{}", phase.message);
        }
        for right in ["0.5", "0.95", "0.999999"] {
            assert!(validate(&spec(&with(right)), false).is_done(), "{right}");
        }
    }

    #[test]
    fn data_of_the_gate_is_no_stages() {
        let data = |usual: &str| {
            json!([
                { "name": "holdout", "source": { "uri": "configmap://d", "file": "d.npz" } },
                { "name": "usual", "source": { "uri": "configmap://d", "file": usual } },
            ])
        };
        let gate = json!({ "data": "holdout", "task": { "classification": { "output": "p" } }, "checks": [
            { "name": "same", "parity": { "top1Agreement": "0.9" } },
        ] });
        let validated = |stage: Value, usual: &str| {
            validate(&spec(&json!({ "data": data(usual), "gate": gate, "stages": [stage] })), false)
        };
        let gptq = |data: &str| json!({ "weights": "int4", "fit": "Gptq", "data": data });
        let stages = |data: &str| {
            [
                ("quantize.static.data", json!({ "name": "s", "quantize": { "static": { "data": data } } })),
                (
                    "quantize.weightOnly.data",
                    json!({ "name": "s", "quantize": { "weightOnly": gptq(data) } }),
                ),
                (
                    "quantize.biasCorrection.data",
                    json!({ "name": "s", "quantize": { "dynamic": {}, "biasCorrection": { "data": data } } }),
                ),
                ("smooth.data", json!({ "name": "s", "smooth": { "data": data } })),
            ]
        };
        for (field, stage) in stages("holdout") {
            let phase = validated(stage, "usual.npz");
            let words = format!(
                "stage s: {field} is holdout, and gate.data is holdout: a gate judges on data that no stage"
            );
            assert!(phase.is_failed() && phase.message.starts_with(&words), "{field}: {}", phase.message);
            assert_eq!(phase.reason, reason::INVALID_SPEC);
        }
        for (field, stage) in stages("usual") {
            assert!(validated(stage.clone(), "usual.npz").is_done(), "{field}");
            let phase = validated(stage, "d.npz");
            let words = "is usual, and gate.data is holdout, which has the same source: ";
            assert!(phase.is_failed() && phase.message.contains(words), "{field}: {}", phase.message);
        }
    }

    #[test]
    fn static_quantization_for_the_built_in_engine_is_the_users_choice_and_told() {
        let backend = |backend: &str| {
            json!({
                "data": [{ "name": "set", "source": { "uri": "configmap://d", "file": "d.npz" } }],
                "stages": [{ "name": "fixed", "quantize": { "static": { "data": "set" } } }],
                "serving": { "runtime": { "slipway": { "backend": backend } } },
            })
        };
        for (engine, words) in
            [("rten", "stage fixed"), ("auto", "slower"), ("onnxruntime", "the spec is valid")]
        {
            let phase = validate(&spec(&backend(engine)), false);
            assert!(phase.is_done() && phase.message.contains(words), "{engine}: {}", phase.message);
        }
        let phase = validate(&spec(&backend("onnxruntime")), false);
        assert!(!phase.message.contains("slower"), "{}", phase.message);
    }

    #[test]
    fn a_file_is_a_source_on_a_laptop_alone() {
        let local = spec(&json!({ "model": { "source": { "uri": "file:///net.onnx" } } }));
        assert!(validate(&local, true).is_done());
    }

    #[test]
    fn batching_after_dynamic_quantization_is_the_users_choice() {
        let accepted =
            json!({ "serving": { "batching": { "maxSize": 8, "allowCrossRequestEffects": true } } });
        assert!(validate(&spec(&accepted), false).is_done());
    }
}
