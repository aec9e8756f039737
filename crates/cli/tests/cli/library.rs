//! Which ONNX Runtime is found, and what is said of one that may not be loaded as it is.

use crate::program::{Done, Room, example};

#[test]
fn a_library_that_would_report_is_told_with_the_one_thing_to_do() {
    let room = Room::new();
    let package = "venv/lib/python3.12/site-packages/onnxruntime/capi";
    std::fs::create_dir_all(room.path(package)).unwrap();
    let library = room.write(&format!("{package}/libonnxruntime.so.1.32.0"), "");
    let (model, data) = (example("model.onnx"), example("holdout.npz"));
    let venv = room.argument("venv");
    let wanted = format!(
        "found ONNX Runtime 1.32.0 in {library}; run with ORT_DISABLE_TELEMETRY=1, since this version reports to its \
         makers otherwise\n"
    );
    let calls: [&[&str]; 2] = [
        &["evaluate", &model, "--data", &data, "--engine", "onnxruntime"],
        &["calibrate", &model, &data, "c.json", "--engine", "onnxruntime"],
    ];
    for call in calls {
        for variable in ["VIRTUAL_ENV", "SLIPWAY_ONNXRUNTIME"] {
            let done = room
                .slipway_where(call, &[(variable, if variable == "VIRTUAL_ENV" { &venv } else { &library })]);
            is_told(&done, &wanted);
        }
    }
}

fn is_told(done: &Done, wanted: &str) {
    done.fails(1, &[]);
    assert!(done.err.ends_with(wanted) && done.err.lines().count() == 1, "{done:?}");
    assert_eq!(done.err.matches("ONNX Runtime").count(), 1, "{done:?}");
}
