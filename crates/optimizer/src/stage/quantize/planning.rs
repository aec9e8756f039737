//! Which nodes of the main graph static quantization puts between integers, and why the others stay in floats.

use std::collections::{BTreeMap, HashMap};

use slipway_kernels::quantize::asymmetric;
use slipway_model::onnx::is_default_domain;
use slipway_model::onnx::proto::{GraphProto, NodeProto};

use super::form::qdq_places;
use super::qdq::{Plan, Questions};
use super::select::Selector;
use super::{Granularity, Method, Options, Skipped};
use crate::calibrate::Calibration;
use crate::graph::{GraphId, Scopes, Unresolved};

const MAIN: GraphId = 0;

/// Why no operator can be between integers.
const NO_OPSET: &str = "the model's opset knows no QuantizeLinear and cannot be raised";

fn multiplies(node: &NodeProto) -> bool {
    is_default_domain(node.domain()) && matches!(node.op_type(), "Conv" | "MatMul" | "Gemm")
}

/// Why a node that could multiply in integers is not planned to.
fn unknown_range(node: &NodeProto, places: &[usize], calibration: &Calibration) -> String {
    let around = places.iter().map(|place| &node.input[*place]).chain(&node.output);
    let told = around.clone().find_map(|name| calibration.unusable.get(name).map(|why| (name, why)));
    if let Some((name, why)) = told {
        return format!("the range of {name:?} is unknown: {why}");
    }
    let names: Vec<_> = around.map(|name| format!("{name:?}")).collect();
    format!("a range is unknown, of {}, or they are not of single precision", names.join(" or "))
}

/// The activations of a main graph whose ranges static quantization asks for, in the order of the graph.
pub(super) fn activations_of(graph: &GraphProto) -> Vec<String> {
    let scopes = Scopes::of(graph);
    let options = Options {
        method: Method::Static { granularity: Granularity::PerChannel, reduce_range: true },
        least_elements: 0,
        ..Options::default()
    };
    let lost = BTreeMap::new();
    let selector = Selector::new(&scopes, &options, true, &lost);
    let multiplies = |_: usize, node: &NodeProto| qdq_places(&selector, node).unwrap_or_default();
    selector.planned(graph, &multiplies, &|_| true).to_calibrate(graph)
}

impl Selector<'_> {
    /// Plans the integers of the main graph; the nodes that multiply and have to stay in floats, each with the reason.
    pub(super) fn plan(&mut self, graph: &GraphProto) -> BTreeMap<usize, String> {
        let mut floats = BTreeMap::new();
        let (Method::Static { .. }, Some(calibration)) = (self.options.method, &self.options.calibration)
        else {
            return floats;
        };
        let mut places = HashMap::new();
        for (index, node) in graph.node.iter().enumerate().filter(|(_, node)| multiplies(node)) {
            match qdq_places(self, node) {
                _ if !self.integers => drop(floats.insert(index, NO_OPSET.to_owned())),
                Ok(found) => drop(places.insert(index, found)),
                Err(Unresolved::Because(reason)) => drop(floats.insert(index, reason)),
                Err(Unresolved::Computed) => {}
            }
        }
        let asked = |index: usize, _: &NodeProto| places.get(&index).cloned().unwrap_or_default();
        let plan = self.planned(graph, &asked, &|name| calibration.span(name).is_some());
        for (index, places) in &places {
            if !plan.nodes.contains_key(index) {
                floats.insert(*index, unknown_range(&graph.node[*index], places, calibration));
            }
        }
        self.found.plan = plan;
        floats
    }

    fn planned(
        &self,
        graph: &GraphProto,
        multiplies: &dyn Fn(usize, &NodeProto) -> Vec<usize>,
        is_calibrated: &dyn Fn(&str) -> bool,
    ) -> Plan {
        let is_activation = |name: &str| matches!(self.scopes.resolve(0, name), Err(Unresolved::Computed));
        let is_kept = |node: &NodeProto| self.is_kept(node);
        Plan::of(
            graph,
            &Questions { multiplies, is_activation: &is_activation, is_calibrated, is_kept: &is_kept },
        )
    }

    /// Says of each node that stayed in floats why, unless that was said.
    pub(super) fn tell(&mut self, graph: &GraphProto, floats: &BTreeMap<usize, String>) {
        for (index, reason) in floats {
            let told = || Skipped::of(&graph.node[*index], format!("it computes in floats: {reason}"));
            self.found.skipped.entry((MAIN, *index)).or_insert_with(told);
        }
    }

    /// The scale of an activation that becomes integers.
    pub(super) fn input_scale(&self, name: &str) -> Option<f32> {
        let span = self.options.calibration.as_ref()?.span(&self.found.plan.tensors.get(name)?.root)?;
        Some(asymmetric(span.low, span.high).0)
    }
}
