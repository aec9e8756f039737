//! The queue's length at the moment of a scrape.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::queue::Queue;

#[derive(Debug)]
pub(super) struct QueueLength(pub(super) Arc<Queue>);

impl Collector for QueueLength {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let length = ConstGauge::new(i64::try_from(self.0.len()).unwrap_or(i64::MAX));
        let help = "Requests that wait for the engine.";
        length.encode(encoder.encode_descriptor("slipway_queue_length", help, None, length.metric_type())?)
    }
}
