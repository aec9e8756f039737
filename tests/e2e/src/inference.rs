//! Predictions, as a client of the Open Inference Protocol asks for them.

use serde_json::{Value, json};

/// The pixels of a made-up digit; different for every number.
pub fn pixels(seed: u32) -> Vec<f32> {
    (0..64_u32).map(|index| f32::from(u16::try_from((seed * 31 + index * 7) % 17).unwrap_or(0))).collect()
}

/// A request for one prediction of the digits model.
pub fn request(seed: u32) -> Value {
    json!({ "inputs": [{ "name": "pixels", "datatype": "FP32", "shape": [1, 64], "data": pixels(seed) }] })
}

/// Asks for one prediction; the scores.
///
/// # Errors
/// In words, with the answer's body.
pub async fn predict(
    client: &reqwest::Client,
    address: &str,
    model: &str,
    seed: u32,
) -> Result<Vec<f64>, String> {
    let url = format!("http://{address}/v2/models/{model}/infer");
    let answer = client.post(url).json(&request(seed)).send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(|error| format!("{status}: {error:?}"))?;
    if !status.is_success() {
        return Err(format!("{status}: {body}"));
    }
    let data = body["outputs"][0]["data"].as_array().ok_or_else(|| format!("no data in {body}"))?;
    Ok(data.iter().filter_map(Value::as_f64).collect())
}

/// A client that keeps its connections.
///
/// # Panics
/// Never: the configuration is fixed.
pub fn client() -> reqwest::Client {
    let _already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(10))
        .build()
        .expect("a fixed configuration")
}
