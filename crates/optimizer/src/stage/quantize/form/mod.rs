//! The forms in which an operator computes with a quantized weight. One file a form.
//!
//! A form looks at a node and says what it needs ([`consider`]), and later writes the nodes that
//! take its place ([`Site::emit`]).

mod conv;
mod expanded;
mod gather;
mod lstm;
mod matmul;
mod nbits;
mod qdq;

use slipway_kernels::quantize::Scheme;
use slipway_model::onnx::proto::NodeProto;

use super::Method;
use super::emit::Emitter;
use super::select::Selector;
use crate::graph::{GraphId, Unresolved};

/// A node that is going to be replaced.
#[derive(Debug)]
pub(super) enum Site {
    MatMul(matmul::MatMul),
    Conv(conv::Conv),
    Gather(gather::Gather),
    Lstm(lstm::Lstm),
    NBits(nbits::MatMulNBits),
    Expanded(expanded::Expanded),
    Qdq(qdq::Qdq),
}

impl Site {
    /// Writes what takes the place of `node`; its outputs keep their names.
    pub(super) fn emit(&self, node: &NodeProto, emitter: &mut Emitter<'_>) {
        match self {
            Self::MatMul(site) => site.emit(node, emitter),
            Self::Conv(site) => site.emit(node, emitter),
            Self::Gather(site) => site.emit(node, emitter),
            Self::Lstm(site) => site.emit(node, emitter),
            Self::NBits(site) => site.emit(node, emitter),
            Self::Expanded(site) => site.emit(node, emitter),
            Self::Qdq(site) => site.emit(node, emitter),
        }
    }

    /// The weight on the right of its product, where there is one.
    pub(super) fn weight(&self) -> Option<usize> {
        match self {
            Self::MatMul(site) => Some(site.weight()),
            Self::Conv(site) => Some(site.weight()),
            Self::NBits(site) => Some(site.weight()),
            Self::Expanded(site) => site.weight(),
            Self::Qdq(site) => site.weight(),
            Self::Gather(_) | Self::Lstm(_) => None,
        }
    }

    /// Whether an operator of ONNX Runtime's own domain is needed.
    pub(super) fn needs_contrib(&self) -> bool {
        matches!(self, Self::NBits(_) | Self::Lstm(_))
    }

    /// Whether the operators of integer arithmetic are needed.
    pub(super) fn needs_integers(&self) -> bool {
        matches!(self, Self::MatMul(_) | Self::Conv(_))
    }
}

/// Refuses a sum of so many products that 32 bits may not hold it.
fn refuse_overflow(selector: &Selector<'_>, depth: i64) -> Result<(), Unresolved> {
    let scheme = match selector.options.method {
        Method::Dynamic { reduce_range: true, .. } | Method::Static { reduce_range: true, .. } => {
            Scheme::INT8_REDUCED
        }
        _ => Scheme::INT8,
    };
    let largest = depth.saturating_mul(255 * i64::from(scheme.highest));
    if largest > i64::from(i32::MAX) {
        return Err(because(format!("sums over {depth} products may overflow 32 bits")));
    }
    Ok(())
}

fn because(reason: impl Into<String>) -> Unresolved {
    Unresolved::Because(reason.into())
}

pub(super) use qdq::{IntegerBias, places as qdq_places, site as qdq_site};

/// What becomes of a node, or why it stays; nothing is said of one without constants.
pub(super) fn consider(
    selector: &mut Selector<'_>,
    graph: GraphId,
    node: &NodeProto,
) -> Result<Site, Unresolved> {
    let method = selector.options.method;
    let integers = matches!(method, Method::Dynamic { .. }) && selector.integers;
    match node.op_type() {
        "MatMul" | "Gemm" if matches!(method, Method::Four { .. }) => nbits::consider(selector, graph, node),
        "MatMul" | "Gemm" if integers => matmul::consider(selector, graph, node),
        "Conv" if integers => conv::consider(selector, graph, node),
        "LSTM" if integers => lstm::consider(selector, graph, node),
        "MatMul" | "Gemm" | "Conv" | "ConvTranspose" | "LSTM" | "GRU" | "RNN" => {
            expanded::consider(selector, graph, node)
        }
        "Gather" => gather::consider(selector, graph, node),
        "MatMulInteger" | "ConvInteger" | "QLinearMatMul" | "QLinearConv" => {
            Err(because("it is quantized already"))
        }
        _ => Err(Unresolved::Computed),
    }
}
