//! Edges of what a gate reads: labels beyond any class, and errors of servers.
#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::io::{Cursor, Write};

use serde_json::json;
use slipway_model::npz::{NpzFile, NpzLimits};
use slipway_optimizer::evaluate::{EvaluateError, PredictError, Samples};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Labels of 64 bits without a sign.
fn labels(values: &[u64]) -> NpzFile<Cursor<Vec<u8>>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("y.npy", SimpleFileOptions::default()).unwrap();
    let head = format!("{{'descr': '<u8', 'fortran_order': False, 'shape': ({},), }}\n", values.len());
    archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
    archive.write_all(&u16::try_from(head.len()).unwrap().to_le_bytes()).unwrap();
    archive.write_all(head.as_bytes()).unwrap();
    for value in values {
        archive.write_all(&value.to_le_bytes()).unwrap();
    }
    NpzFile::from_reader(archive.finish().unwrap(), NpzLimits::default()).unwrap()
}

#[test]
fn a_label_that_no_integer_holds_is_no_class_and_above_all_not_the_first() {
    let data = json!({ "name": "holdout", "source": { "uri": "file:///x.npz" }, "labels": "y" });
    let data = serde_json::from_value(data).unwrap();
    let samples = Samples::bind(&mut labels(&[3, u64::MAX, 1 << 63]), &data, &[]).unwrap();
    let found: Vec<_> = (0..3).map(|sample| samples.label(sample).unwrap()).collect();
    assert_eq!(found, [3, i64::MAX, i64::MAX]);
}

#[test]
fn a_server_that_fails_may_be_asked_again_and_one_that_refuses_may_not() {
    let of = |status| {
        let (role, message) = ("candidate", String::new());
        EvaluateError::Predict(PredictError::Refused { role, status, message }).is_retryable()
    };
    assert_eq!([499, 500, 503].map(of), [false, true, true]);
}
