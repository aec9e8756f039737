//! Each operator against values that were worked out by hand; the oracle test holds them against ONNX Runtime.

use std::fmt::Debug;
use std::sync::mpsc;
use std::time::Duration;

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::build::{self, ModelBuilder, int, ints};
use slipway_model::onnx::proto::AttributeProto;
use slipway_model::onnx::proto::tensor_proto::DataType as Code;

use super::{Refusal, evaluate};
use crate::stage::simplify::tensor::{Constant, Element, Tensor};

/// What a node of the newest operator set gives for constants.
fn run(op: &str, inputs: &[Tensor], attributes: Vec<AttributeProto>) -> Result<Vec<Tensor>, Refusal> {
    run_at(18, op, inputs, attributes, 1)
}

fn run_at(
    opset: i64,
    op: &str,
    inputs: &[Tensor],
    attributes: Vec<AttributeProto>,
    outputs: usize,
) -> Result<Vec<Tensor>, Refusal> {
    let mut effort = u64::MAX;
    run_within(&mut effort, opset, op, inputs, attributes, outputs)
}

/// As [`run_at`], where so many bytes may still be read.
fn run_within(
    effort: &mut u64,
    opset: i64,
    op: &str,
    inputs: &[Tensor],
    attributes: Vec<AttributeProto>,
    outputs: usize,
) -> Result<Vec<Tensor>, Refusal> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    ModelBuilder::new().output("y", &[1]).write(&path).unwrap();
    let model = OnnxModel::open(&path).unwrap();
    let inputs: Vec<Constant> = inputs.iter().cloned().map(Constant::from).collect();
    let inputs: Vec<Option<&Constant>> = inputs.iter().map(Some).collect();
    let names: Vec<String> = (0..outputs).map(|index| format!("y{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let node = build::node(op, &[], &names, attributes);
    let outputs = evaluate(&model, &node, opset, &inputs, effort)?;
    outputs.iter().map(|constant| constant.load(&model)).collect()
}

fn of<T: Element>(dims: &[usize], values: &[T]) -> Tensor {
    Tensor::new(dims.to_vec(), values.iter().copied())
}

fn longs(values: &[i64]) -> Tensor {
    of(&[values.len()], values)
}

fn floats(values: &[f32]) -> Tensor {
    of(&[values.len()], values)
}

#[track_caller]
fn gives<T: Element + PartialEq + Debug>(made: Result<Vec<Tensor>, Refusal>, dims: &[usize], values: &[T]) {
    let made = made.unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].code, made[0].dims.as_slice()), (T::CODE, dims));
    assert_eq!(made[0].values::<T>().collect::<Vec<_>>(), values);
}

#[expect(clippy::needless_pass_by_value, reason = "it is given what a call returned")]
#[track_caller]
fn is_open(made: Result<Vec<Tensor>, Refusal>) {
    assert!(matches!(made, Err(Refusal::Undefined(_) | Refusal::Unknown)), "{made:?}");
}

#[test]
fn arithmetic_broadcasts_and_refuses_what_overflows() {
    let (two_by_one, row) = (of(&[2, 1], &[10_i64, 20]), longs(&[1, 2, 3]));
    gives(run("Add", &[two_by_one.clone(), row.clone()], vec![]), &[2, 3], &[11_i64, 12, 13, 21, 22, 23]);
    gives(run("Sub", &[row.clone(), of(&[], &[1_i64])], vec![]), &[3], &[0_i64, 1, 2]);
    gives(run("Mul", &[floats(&[1.5]), floats(&[2.0])], vec![]), &[1], &[3.0_f32]);
    gives(run("Div", &[longs(&[7, -8]), longs(&[2, 2])], vec![]), &[2], &[3_i64, -4]);
    gives(run("Div", &[floats(&[1.0]), floats(&[3.0])], vec![]), &[1], &[1.0_f32 / 3.0]);
    gives(run("Pow", &[longs(&[3]), longs(&[4])], vec![]), &[1], &[81_i64]);
    is_open(run("Div", &[longs(&[-7]), longs(&[2])], vec![]));
    is_open(run("Div", &[longs(&[7]), longs(&[0])], vec![]));
    is_open(run("Div", &[floats(&[0.0]), floats(&[0.0])], vec![]));
    is_open(run("Add", &[longs(&[i64::MAX]), longs(&[1])], vec![]));
    is_open(run("Mul", &[of(&[], &[i32::MAX]), of(&[], &[2_i32])], vec![]));
    is_open(run("Pow", &[floats(&[1.1]), floats(&[2.0])], vec![]));
    is_open(run("Add", &[longs(&[1, 2]), longs(&[1, 2, 3])], vec![]));
    is_open(run_at(6, "Add", &[longs(&[1]), longs(&[1])], vec![], 1));
}

#[test]
fn one_operand_gives_one() {
    gives(run("Neg", &[longs(&[1, -2])], vec![]), &[2], &[-1_i64, 2]);
    gives(run("Abs", &[floats(&[-1.5])], vec![]), &[1], &[1.5_f32]);
    gives(run("Sqrt", &[floats(&[2.0])], vec![]), &[1], &[2.0_f32.sqrt()]);
    gives(run("Reciprocal", &[of(&[], &[4.0_f64])], vec![]), &[], &[0.25_f64]);
    gives(run("Floor", &[floats(&[-1.5])], vec![]), &[1], &[-2.0_f32]);
    gives(run("Ceil", &[floats(&[1.2])], vec![]), &[1], &[2.0_f32]);
    is_open(run("Neg", &[longs(&[i64::MIN])], vec![]));
    is_open(run("Sqrt", &[floats(&[-1.0])], vec![]));
}

#[test]
fn extremes_refuse_what_engines_decide() {
    gives(run("Min", &[longs(&[1, 5]), longs(&[3]), longs(&[2, 2])], vec![]), &[2], &[1_i64, 2]);
    gives(run("Max", &[floats(&[1.0]), floats(&[-1.0])], vec![]), &[1], &[1.0_f32]);
    is_open(run("Max", &[floats(&[0.0]), floats(&[-0.0])], vec![]));
    is_open(run("Min", &[floats(&[f32::NAN]), floats(&[1.0])], vec![]));
}

#[test]
fn comparisons_logic_and_choice() {
    let (left, right) = (longs(&[1, 2, 3]), of(&[], &[2_i64]));
    let inputs = [left, right];
    gives(run("Equal", &inputs, vec![]), &[3], &[false, true, false]);
    gives(run("Less", &inputs, vec![]), &[3], &[true, false, false]);
    gives(run("GreaterOrEqual", &inputs, vec![]), &[3], &[false, true, true]);
    let (yes, no) = (of(&[1], &[true]), of(&[1], &[false]));
    gives(run("And", &[yes.clone(), no.clone()], vec![]), &[1], &[false]);
    gives(run("Or", &[yes.clone(), no.clone()], vec![]), &[1], &[true]);
    gives(run("Xor", &[yes.clone(), yes.clone()], vec![]), &[1], &[false]);
    gives(run("Not", &[no], vec![]), &[1], &[true]);
    let condition = of(&[2, 1], &[true, false]);
    gives(run("Where", &[condition, longs(&[1, 2]), longs(&[9])], vec![]), &[2, 2], &[1_i64, 2, 9, 9]);
}

#[test]
fn casts_round_once_and_refuse_what_does_not_fit() {
    let to = |code: Code| vec![int("to", code as i64)];
    gives(run("Cast", &[floats(&[1.9, -1.9])], to(Code::Int64)), &[2], &[1_i64, -1]);
    gives(run("Cast", &[longs(&[0, 3])], to(Code::Bool)), &[2], &[false, true]);
    gives(run("Cast", &[of(&[1], &[true])], to(Code::Float)), &[1], &[1.0_f32]);
    gives(run("Cast", &[longs(&[16_777_217])], to(Code::Float)), &[1], &[16_777_216.0_f32]);
    gives(run("Cast", &[of(&[], &[0.1_f64])], to(Code::Float)), &[], &[0.1_f32]);
    let half = run("Cast", &[floats(&[1.0, 65520.0])], to(Code::Float16)).unwrap();
    assert_eq!((half[0].code, &half[0].bytes[..]), (Code::Float16, &[0, 0x3c, 0, 0x7c][..]));
    is_open(run("Cast", &[longs(&[300])], to(Code::Uint8)));
    is_open(run("Cast", &[floats(&[1e20])], to(Code::Int64)));
    is_open(run("Cast", &[floats(&[f32::NAN])], to(Code::Int32)));
    is_open(run("Cast", &[of(&[], &[0.1_f64])], to(Code::Float16)));
}

#[test]
fn views_change_dimensions_alone() {
    let six = longs(&[0, 1, 2, 3, 4, 5]);
    let all: Vec<i64> = (0..6).collect();
    gives(run("Reshape", &[six.clone(), longs(&[2, -1])], vec![]), &[2, 3], &all);
    is_open(run("Reshape", &[six.clone(), longs(&[4, -1])], vec![]));
    is_open(run("Reshape", &[six.clone(), longs(&[-1, -1])], vec![]));
    is_open(run("Reshape", &[six.clone(), longs(&[i64::MAX, 4])], vec![]));
    gives(run("Unsqueeze", &[six.clone(), longs(&[0, -1])], vec![]), &[1, 6, 1], &all);
    gives(run_at(11, "Unsqueeze", std::slice::from_ref(&six), vec![ints("axes", &[1])], 1), &[6, 1], &all);
    is_open(run("Unsqueeze", &[six.clone(), longs(&[0, 0])], vec![]));
    let deep = of(&[1, 2, 1, 3], &all);
    gives(run("Squeeze", std::slice::from_ref(&deep), vec![]), &[2, 3], &all);
    gives(run("Squeeze", &[deep.clone(), longs(&[-2])], vec![]), &[1, 2, 3], &all);
    is_open(run("Squeeze", &[deep.clone(), longs(&[1])], vec![]));
    gives(run("Flatten", &[deep], vec![int("axis", 2)]), &[2, 3], &all);
    gives(run("Identity", &[six], vec![]), &[6], &all);
}

#[test]
fn elements_are_picked_and_reordered() {
    let matrix = of(&[2, 3], &[0_i64, 1, 2, 3, 4, 5]);
    let one = std::slice::from_ref(&matrix);
    gives(run("Transpose", one, vec![]), &[3, 2], &[0_i64, 3, 1, 4, 2, 5]);
    let cube = of(&[2, 1, 2], &[0_u8, 1, 2, 3]);
    gives(run("Transpose", &[cube], vec![ints("perm", &[1, 2, 0])]), &[1, 2, 2], &[0_u8, 2, 1, 3]);
    is_open(run("Transpose", one, vec![ints("perm", &[0, 0])]));
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        run("Slice", &[matrix.clone(), longs(starts), longs(ends), longs(axes), longs(steps)], vec![])
    };
    gives(slice(&[-1], &[i64::MAX], &[0], &[1]), &[1, 3], &[3_i64, 4, 5]);
    gives(slice(&[-1], &[i64::MIN], &[1], &[-2]), &[2, 2], &[2_i64, 0, 5, 3]);
    gives(slice(&[2], &[1], &[1], &[1]), &[2, 0], &[0_i64; 0]);
    gives(slice(&[1, 0], &[9, 2], &[0, 1], &[1, 1]), &[1, 2], &[3_i64, 4]);
    is_open(slice(&[0], &[1], &[2], &[1]));
    is_open(slice(&[0], &[1], &[0], &[0]));
    let attributes = vec![ints("starts", &[1]), ints("ends", &[2])];
    gives(run_at(9, "Slice", one, attributes, 1), &[1, 3], &[3_i64, 4, 5]);
    let columns = run("Gather", &[matrix.clone(), of(&[], &[-1_i64])], vec![int("axis", 1)]);
    gives(columns, &[2], &[2_i64, 5]);
    gives(
        run("Gather", &[matrix.clone(), of(&[1, 2], &[1_i32, 0])], vec![]),
        &[1, 2, 3],
        &[3_i64, 4, 5, 0, 1, 2],
    );
    is_open(run("Gather", &[matrix.clone(), longs(&[2])], vec![]));
    let parts = run_at(13, "Split", &[matrix.clone(), longs(&[1, 2])], vec![int("axis", 1)], 2).unwrap();
    assert_eq!(parts, [of(&[2, 1], &[0_i64, 3]), of(&[2, 2], &[1_i64, 2, 4, 5])]);
    is_open(run_at(13, "Split", &[matrix, longs(&[1, 1])], vec![int("axis", 1)], 2));
}

#[test]
fn copies_are_joined() {
    let (left, right) = (of(&[2, 1], &[1_i64, 2]), of(&[2, 2], &[3_i64, 4, 5, 6]));
    let inputs = [left.clone(), right.clone()];
    gives(run("Concat", &inputs, vec![int("axis", -1)]), &[2, 3], &[1_i64, 3, 4, 2, 5, 6]);
    is_open(run("Concat", &inputs, vec![int("axis", 0)]));
    gives(run("Expand", &[left.clone(), longs(&[3, 1, 2])], vec![]), &[3, 2, 2], &[1_i64, 1, 2, 2].repeat(3));
    gives(run("Expand", &[right.clone(), longs(&[1])], vec![]), &[2, 2], &[3_i64, 4, 5, 6]);
    gives(run("Tile", &[left, longs(&[2, 2])], vec![]), &[4, 2], &[1_i64, 1, 2, 2, 1, 1, 2, 2]);
}

#[test]
fn sizes_become_tensors() {
    let cube = of(&[2, 3, 1], &[0_u8; 6]);
    let one = std::slice::from_ref(&cube);
    gives(run("Shape", one, vec![]), &[3], &[2_i64, 3, 1]);
    gives(run("Shape", one, vec![int("start", -2), int("end", -1)]), &[1], &[3_i64]);
    gives(run("Size", one, vec![]), &[], &[6_i64]);
    gives(run("ConstantOfShape", &[longs(&[2])], vec![]), &[2], &[0.0_f32, 0.0]);
    let range = |start: i64, limit: i64, step: i64| {
        run("Range", &[of(&[], &[start]), of(&[], &[limit]), of(&[], &[step])], vec![])
    };
    gives(range(0, 5, 2), &[3], &[0_i64, 2, 4]);
    gives(range(2, -1, -1), &[3], &[2_i64, 1, 0]);
    gives(range(2, 2, 1), &[0], &[0_i64; 0]);
    is_open(range(0, 1, 0));
    is_open(run("Range", &[of(&[], &[0.0_f32]), of(&[], &[1.0_f32]), of(&[], &[0.1_f32])], vec![]));
}

#[test]
fn reductions_of_which_the_order_does_not_show() {
    let matrix = of(&[2, 3], &[1_i64, 2, 3, 4, 5, 6]);
    gives(run("ReduceSum", &[matrix.clone(), longs(&[0])], vec![]), &[1, 3], &[5_i64, 7, 9]);
    gives(run("ReduceProd", std::slice::from_ref(&matrix), vec![int("keepdims", 0)]), &[], &[720_i64]);
    gives(run_at(11, "ReduceMax", &[matrix], vec![ints("axes", &[-1])], 1), &[2, 1], &[3_i64, 6]);
    gives(run("ReduceMin", &[floats(&[2.0, 1.5])], vec![]), &[1], &[1.5_f32]);
    is_open(run("ReduceSum", &[floats(&[1.0, 2.0])], vec![]));
    is_open(run("ReduceMax", &[floats(&[1.0, f32::NAN])], vec![]));
    is_open(run("ReduceSum", &[of(&[0], &[0_i64; 0])], vec![]));
}

#[test]
fn nothing_large_is_made() {
    let too_large = |made| assert!(matches!(made, Err(Refusal::TooLarge(_))), "{made:?}");
    too_large(run("ConstantOfShape", &[longs(&[1 << 40])], vec![]));
    too_large(run("ConstantOfShape", &[longs(&[i64::MAX, i64::MAX])], vec![]));
    too_large(run("Expand", &[longs(&[1]), longs(&[1 << 32])], vec![]));
    too_large(run("Tile", &[longs(&[1]), longs(&[i64::MAX])], vec![]));
    let range = [of(&[], &[i64::MIN]), of(&[], &[i64::MAX]), of(&[], &[1_i64])];
    too_large(run("Range", &range, vec![]));
    is_open(run("ConstantOfShape", &[longs(&[-1])], vec![]));
    is_open(run("Hardmax", &[floats(&[1.0])], vec![]));
}

/// What is computed within seconds: what takes longer would take years.
#[track_caller]
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    waits.recv_timeout(Duration::from_secs(20)).expect("it ends")
}

#[test]
fn nothing_of_any_size_is_joined_and_picked_at_once() {
    const LONG: usize = 1 << 31;
    let empty = || of(&[LONG, LONG, 0], &[0_i64; 0]);
    gives(
        ends(move || run("Concat", &[empty(), empty()], vec![int("axis", 2)])),
        &[LONG, LONG, 0],
        &[0_i64; 0],
    );
    let row = move || of(&[LONG, LONG / 2, 0], &[0_i64; 0]);
    gives(
        ends(move || run("Gather", &[row(), of(&[0], &[0_i64; 0])], vec![int("axis", 2)])),
        &[LONG, LONG / 2, 0],
        &[0_i64; 0],
    );
    // Sizes behind an axis of zero may multiply to more than any number holds.
    let wide = || of(&[0, 1 << 40, 1 << 40], &[0_i64; 0]);
    let none = of(&[0], &[0_i64; 0]);
    gives(run("Gather", &[wide(), none], vec![]), &[0, 1 << 40, 1 << 40], &[0_i64; 0]);
    gives(run("Concat", &[wide(), wide()], vec![int("axis", 0)]), &[0, 1 << 40, 1 << 40], &[0_i64; 0]);
    gives(run("ReduceSum", &[wide(), longs(&[1, 2])], vec![]), &[0, 1, 1], &[0_i64; 0]);
    // No file holds such a tensor the other way round.
    assert!(matches!(run("Transpose", &[wide()], vec![]), Err(Refusal::TooLarge(_))));
    is_open(run("Reshape", &[of(&[0], &[0_i64; 0]), longs(&[1 << 62, 2, 0])], vec![int("allowzero", 1)]));
    is_open(run("Flatten", &[wide()], vec![]));
    is_open(run("ReduceSum", &[wide()], vec![]));
}

#[test]
fn more_axes_than_a_tensor_may_have_are_refused_at_once() {
    const MANY: usize = 2_000_000;
    let ones = || of(&[MANY], &vec![1_i64; MANY]);
    let twice = || of(&[MANY], &vec![0_i64; MANY]);
    let six = || longs(&[0, 1, 2, 3, 4, 5]);
    is_open(ends(move || run("Unsqueeze", &[six(), twice()], vec![])));
    is_open(ends(move || run("Reshape", &[longs(&[1]), ones()], vec![])));
    is_open(ends(move || run("ConstantOfShape", &[ones()], vec![])));
    let wide = [&[1000][..], &vec![1; MANY]].concat();
    is_open(ends(move || run("Expand", &[longs(&[1]), longs(&wide)], vec![])));
    let at_most: Vec<i64> = (0..63).collect();
    let mut dims = vec![1; 63];
    dims.push(6);
    gives(run("Unsqueeze", &[six(), longs(&at_most)], vec![]), &dims, &[0_i64, 1, 2, 3, 4, 5]);
    is_open(run("Unsqueeze", &[six(), longs(&(0..64).collect::<Vec<_>>())], vec![]));
}

#[test]
fn steps_as_long_as_integers_are_take_what_they_reach() {
    let one = |value: i64| of(&[], &[value]);
    let range = [one(i64::MIN), one(i64::MAX), one(1 << 62)];
    gives(run("Range", &range, vec![]), &[4], &[i64::MIN, -(1 << 62), 0, 1 << 62]);
    gives(run("Range", &[one(i64::MAX), one(0), one(i64::MIN)], vec![]), &[1], &[i64::MAX]);
    let slice = |start: i64, end: i64, step: i64| {
        let inputs = [longs(&[0, 1, 2]), longs(&[start]), longs(&[end]), longs(&[0]), longs(&[step])];
        run("Slice", &inputs, vec![])
    };
    gives(slice(1, i64::MAX, i64::MAX), &[1], &[1_i64]);
    gives(slice(-1, i64::MIN, i64::MIN), &[1], &[2_i64]);
    gives(slice(2, i64::MIN, i64::MIN + 1), &[1], &[2_i64]);
    let twice = [longs(&[0, 1, 2]), longs(&[0, 1]), longs(&[3, 3]), longs(&[0, 0])];
    is_open(run("Slice", &twice, vec![]));
}

#[test]
fn what_is_read_is_counted_and_no_more_is_read_than_may_be() {
    let mut left = 40;
    let mut run = |op: &str, input: &Tensor| {
        let made = run_within(&mut left, 18, op, std::slice::from_ref(input), vec![], 1);
        (made, left)
    };
    let (four, eight) = (floats(&[1.0; 4]), floats(&[1.0; 8]));
    let (made, left) = run("Neg", &four);
    assert!(made.is_ok() && left == 24, "{made:?}, {left} left");
    for op in ["DequantizeLinear", "Identity"] {
        assert_eq!(run(op, &four).1, 24, "{op} reads nothing");
    }
    let (made, left) = run("Neg", &eight);
    assert!(matches!(made, Err(Refusal::Spent)) && left == 24, "{made:?}, {left} left");
    assert!(run("Neg", &four).0.is_ok(), "what is smaller may still be read");
}
