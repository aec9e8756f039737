//! What is written reads back, and what was not written by us is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn tensor(shape: &[usize], data: TensorData) -> Tensor {
    Tensor::new(shape.to_vec(), data).unwrap()
}

fn samples() -> GoldenSamples {
    let named = |name: &str, tensor| NamedTensor { name: name.to_owned(), tensor };
    let output = |name: &str, tensor, tolerance, class| GoldenOutput {
        name: name.to_owned(),
        tensor,
        tolerance,
        class,
    };
    let sample = |by: f32| GoldenSample {
        inputs: vec![
            named("x", tensor(&[1, 3], TensorData::Fp32(vec![0.1 * by, f32::NEG_INFINITY, -0.0]))),
            named("n", tensor(&[], TensorData::Int64(vec![i64::MIN]))),
        ],
        outputs: vec![
            output("p", tensor(&[1, 2], TensorData::Fp32(vec![0.25, 0.75])), 1e-3, Some(1)),
            output("label", tensor(&[1], TensorData::Bytes(vec!["cat".into()])), 0.0, None),
        ],
    };
    GoldenSamples { samples: vec![sample(1.0), sample(2.0)] }
}

/// A file with this head and these elements.
fn file(head: &str, elements: &[u8]) -> Vec<u8> {
    let length = u32::try_from(head.len()).unwrap();
    [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes(), head.as_bytes(), elements].concat()
}

#[test]
fn what_is_written_reads_back_to_the_bit_infinities_and_strings_too() {
    let samples = samples();
    assert_eq!(GoldenSamples::parse(&samples.to_bytes().unwrap()).unwrap(), samples);
    let none = GoldenSamples::default();
    assert_eq!(GoldenSamples::parse(&none.to_bytes().unwrap()).unwrap(), none);
}

#[test]
fn a_sample_takes_the_bytes_of_its_elements() {
    assert_eq!(samples().samples[0].size_bytes(), 12 + 8 + 8 + 7);
}

#[test]
fn files_out_of_format_are_refused() {
    let output = |patch: &Value| {
        let mut tensor = json!({ "name": "y", "datatype": "FP32", "shape": [1], "bytes": 4 });
        tensor.as_object_mut().unwrap().extend(patch["tensor"].as_object().cloned().unwrap_or_default());
        let mut output =
            json!({ "tensor": tensor, "tolerance": patch.get("tolerance").unwrap_or(&json!(0)) });
        output.as_object_mut().unwrap().extend(patch["more"].as_object().cloned().unwrap_or_default());
        json!({ "samples": [{ "inputs": [], "outputs": [output] }] }).to_string()
    };
    let tensor = |patch: Value| file(&output(&json!({ "tensor": patch })), &[0; 4]);
    for (bytes, words) in [
        (b"{\"version\":1,\"samples\":[]}".to_vec(), "no file of golden samples"),
        (MAGIC.to_vec(), "no file of golden samples"),
        ([&MAGIC[..], &3_u32.to_le_bytes(), &[0; 4]].concat(), "version 3 is not 2"),
        ([&MAGIC[..], &VERSION.to_le_bytes(), &[0xff; 4]].concat(), "head is cut short"),
        (file("{}", &[]), "samples"),
        (file(r#"{"samples":[{"inputs":[],"outputs":[]}]}"#, &[]), "no output"),
        (file(&output(&json!({})), &[0; 3]), "elements of \"y\" are missing"),
        (file(&output(&json!({})), &[0; 5]), "1 bytes follow"),
        (file(&output(&json!({ "tolerance": -1 })), &[0; 4]), "tolerance -1"),
        (file(&output(&json!({ "more": { "class": 1 } })), &[0; 4]), "no class 1"),
        (file(&output(&json!({ "more": { "slack": 1 } })), &[0; 4]), "slack"),
        (tensor(json!({ "datatype": "FP33" })), "no known type"),
        (tensor(json!({ "shape": [u64::MAX, 2] })), "impossible shape"),
        (tensor(json!({ "shape": [1_u64 << 40] })), "not as many"),
        (tensor(json!({ "bytes": u64::MAX })), "are missing"),
        (tensor(json!({ "shape": [2] })), "not as many"),
    ] {
        let error = GoldenSamples::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn more_than_a_server_reads_is_not_written() {
    let most = usize::try_from(MAX_TENSOR_BYTES).unwrap();
    let of = |bytes: usize| {
        let tensor = tensor(&[bytes], TensorData::UInt8(vec![0; bytes]));
        let output = GoldenOutput { name: "y".to_owned(), tensor, tolerance: 0.0, class: None };
        GoldenSamples { samples: vec![GoldenSample { inputs: Vec::new(), outputs: vec![output] }] }
    };
    let fits = of(most).to_bytes().unwrap();
    assert!(fits.len() as u64 <= MAX_BYTES && GoldenSamples::parse(&fits).is_ok());
    assert!(matches!(of(most + 1).to_bytes(), Err(GoldenError::TooLarge)));
}

proptest! {
    #[test]
    fn damaged_files_are_read_or_refused(at in 0..300_usize, byte: u8, cut in 0..600_usize) {
        let mut bytes = samples().to_bytes().unwrap();
        let place = at.min(bytes.len() - 1);
        bytes[place] = byte;
        bytes.truncate(cut);
        let _ = GoldenSamples::parse(&bytes);
    }

    #[test]
    fn any_head_is_read_or_refused(shape: Vec<usize>, bytes: usize, elements: Vec<u8>) {
        let tensor = json!({ "name": "y", "datatype": "BYTES", "shape": shape, "bytes": bytes });
        let head = json!({ "samples": [{ "inputs": [], "outputs": [{ "tensor": tensor, "tolerance": 0 }] }] });
        let _ = GoldenSamples::parse(&file(&head.to_string(), &elements));
    }
}
