//! `--stages`: the rules of the CRD hold for a file of stages too.

use crate::program::{Room, example};

#[test]
fn what_a_cluster_refuses_is_refused() {
    let room = Room::new();
    let model = example("model.onnx");
    for (quantize, words) in [
        (
            "weightOnly: { weights: float16, block: 32 }",
            "spec.stages[0].quantize.weightOnly: block is for weights: int8 and int4",
        ),
        ("weightOnly: { weights: int8, zeroPoints: true }", "zeroPoints is for weights: int4"),
        ("weightOnly: { fit: Nearest }", "fit is for weights: int4"),
        ("weightOnly: { weights: int4, granularity: perTensor }", "granularity is for weights: int8"),
        ("weightOnly: { weights: int4, block: 48 }", "block has to be 16, 32, 64, 128 or 256"),
        ("static: { data: own, percentile: \"50\" }", "percentile is for range: Percentile"),
        ("dynamic: { granularity: none }", "\"none\" is not one of perChannel, perTensor"),
        ("dynamic: {}, mode: fast", "mode: unknown field"),
    ] {
        let file = room.write("stages.yaml", format!("stages: [{{ name: q, quantize: {{ {quantize} }} }}]"));
        let call = ["quantize", &model, "no.onnx", "--stages", &file];
        room.slipway(&call).fails(2, &["stages.yaml: ", words]);
    }
}

#[test]
fn data_sets_of_any_name_are_those_of_the_command() {
    let room = Room::new();
    let data = example("holdout.npz");
    let text = "stages: [{ name: q, quantize: { static: { data: mine }, biasCorrection: { data: yours } } }]";
    let file = room.write("stages.yaml", text);
    let call = ["quantize", &example("model.onnx"), "out.onnx", "--stages", &file, "--data", &data, "--json"];
    assert_eq!(room.slipway(&call).json()["tensors"][0]["biasCorrected"], true);
}
