//! A data set, bound to the inputs of a model.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read, Seek};

use slipway_api::DataSet;
use slipway_model::npz::{Array, Dtype, NpzFile, sample_count};

use slipway_server::{DataType, NamedTensor, Tensor, TensorData};

use super::lengths::Lengths;
use super::{DataError, Request, TensorSpec};

/// Samples that fit a model: every array was checked against the input that it goes to.
#[derive(Debug)]
pub struct Samples {
    inputs: Vec<Bound>,
    labels: Option<Vec<i64>>,
    count: usize,
}

/// An array and the input that it goes to.
#[derive(Debug)]
struct Bound {
    spec: TensorSpec,
    array: Array,
    lengths: Option<Lengths>,
}

impl Samples {
    /// Reads the arrays that a model needs, and the labels and lengths where the data set names them.
    ///
    /// Nothing is converted: a type or shape that differs is an error that names both sides.
    ///
    /// # Errors
    /// See [`DataError`].
    pub fn bind<R: Read + Seek>(
        file: &mut NpzFile<R>,
        data: &DataSet,
        inputs: &[TensorSpec],
    ) -> Result<Self, DataError> {
        let unknown = |name: &&String| !inputs.iter().any(|spec| spec.name == **name);
        if let Some(input) = data.inputs.keys().chain(data.lengths.keys()).find(unknown) {
            let known = inputs.iter().map(|spec| spec.name.clone()).collect();
            return Err(DataError::UnknownInput { input: input.clone(), known });
        }
        let mut read = |name: &String| Ok::<_, DataError>((name.clone(), file.array(name)?));
        let mut arrays = Vec::new();
        for spec in inputs {
            let name = data.inputs.get(&spec.name).unwrap_or(&spec.name);
            let (name, array) = read(name).map_err(|error| error.for_input(&spec.name))?;
            check(&name, &array, spec)?;
            arrays.push((name, array));
        }
        let labels = data.labels.as_ref().map(&mut read).transpose()?;
        let lengths = data.lengths.iter().map(|(input, name)| Ok((input, read(name)?)));
        let lengths = lengths.collect::<Result<BTreeMap<_, _>, DataError>>()?;
        let all = arrays.iter().chain(&labels).chain(lengths.values());
        let count = sample_count(all.map(|(name, array)| (name.as_str(), array)))?;
        if count == 0 {
            return Err(DataError::Empty);
        }
        let bound = |(spec, (_, array)): (&TensorSpec, (String, Array))| {
            let of_input = lengths.get(&spec.name);
            let lengths = of_input.map(|(name, lengths)| Lengths::of(name, lengths, &array, spec));
            Ok(Bound { spec: spec.clone(), lengths: lengths.transpose()?, array })
        };
        let inputs = inputs.iter().zip(arrays).map(bound).collect::<Result<_, DataError>>()?;
        let labels = labels.map(|(name, array)| to_labels(&name, &array)).transpose()?;
        Ok(Self { inputs, labels, count })
    }

    /// How many samples there are, at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The true class of a sample, where there are labels.
    pub fn label(&self, sample: usize) -> Option<i64> {
        self.labels.as_ref()?.get(sample).copied()
    }

    /// Whether the samples have labels.
    pub fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// One sample as named tensors, each with a batch axis of one, and as the request that carries them.
    ///
    /// # Errors
    /// [`DataError::Sample`] beyond the last sample.
    pub fn request(&self, sample: usize) -> Result<(Vec<NamedTensor>, Request), DataError> {
        let tensors = self.tensors(sample).ok_or(DataError::Sample { sample })?;
        let names = self.inputs.iter().map(|bound| bound.spec.name.clone());
        let inputs: Vec<_> = names.zip(tensors).map(|(name, tensor)| NamedTensor { name, tensor }).collect();
        let request = Request::new(&inputs).map_err(|_| DataError::Sample { sample })?;
        Ok((inputs, request))
    }

    /// One sample as an engine takes it, each tensor with a batch axis of one; nothing beyond the last sample.
    pub fn tensors(&self, sample: usize) -> Option<Vec<Tensor>> {
        let tensor = |bound: &Bound| {
            let (shape, bytes) = bound.sample(sample)?;
            Tensor::new(shape, to_data(bound.array.dtype(), &bytes)?)
        };
        self.inputs.iter().map(tensor).collect()
    }
}

impl Bound {
    /// The shape, with a batch axis of one, and the bytes of a sample without its padding.
    fn sample(&self, sample: usize) -> Option<(Vec<usize>, Cow<'_, [u8]>)> {
        let mut shape = one(self.array.shape());
        let bytes = self.array.sample_bytes(sample, 1)?;
        let bytes = match &self.lengths {
            Some(lengths) => Cow::Owned(lengths.cut(sample, &mut shape, bytes)),
            None => Cow::Borrowed(bytes),
        };
        Some((shape, bytes))
    }
}

/// The elements of a sample as an engine takes them; nothing for types that no engine exchanges.
fn to_data(dtype: Dtype, bytes: &[u8]) -> Option<TensorData> {
    TensorData::from_le_bytes(exchanged(dtype)?, bytes)
}

/// The protocol's type for an array's, where engines exchange it.
fn exchanged(dtype: Dtype) -> Option<DataType> {
    match dtype {
        Dtype::Bool => Some(DataType::Bool),
        Dtype::I8 => Some(DataType::Int8),
        Dtype::U8 => Some(DataType::UInt8),
        Dtype::I32 => Some(DataType::Int32),
        Dtype::I64 => Some(DataType::Int64),
        Dtype::F16 => Some(DataType::Fp16),
        Dtype::F32 => Some(DataType::Fp32),
        Dtype::F64 => Some(DataType::Fp64),
        Dtype::I16 | Dtype::U16 | Dtype::U32 | Dtype::U64 => None,
    }
}

/// The shape of a single sample, with its batch axis.
fn one(shape: &[usize]) -> Vec<usize> {
    std::iter::once(1).chain(shape.iter().skip(1).copied()).collect()
}

fn check(name: &str, array: &Array, spec: &TensorSpec) -> Result<(), DataError> {
    if exchanged(array.dtype()) != Some(spec.datatype) {
        return Err(DataError::Type {
            array: name.to_owned(),
            got: array.dtype().to_string(),
            input: spec.name.clone(),
            expected: spec.datatype.to_string(),
        });
    }
    if spec.shape.is_empty() {
        return Err(DataError::NoBatch { input: spec.name.clone() });
    }
    if let Some(size) =
        spec.shape.first().and_then(|size| usize::try_from(*size).ok()).filter(|size| *size != 1)
    {
        return Err(DataError::FixedBatch { input: spec.name.clone(), size });
    }
    if array.samples().is_some() && !spec.accepts(&one(array.shape())) {
        return Err(DataError::Shape {
            array: name.to_owned(),
            got: array.shape().to_vec(),
            input: spec.name.clone(),
            expected: shape_words(&spec.shape),
        });
    }
    Ok(array.check_finite(name)?)
}

/// A shape for people: `[batch, 64, any]`.
fn shape_words(shape: &[i64]) -> String {
    let axis = |(index, size): (usize, &i64)| match (index, *size) {
        (0, _) => "batch".to_owned(),
        (_, ..0) => "any".to_owned(),
        (_, size) => size.to_string(),
    };
    format!("[{}]", shape.iter().enumerate().map(axis).collect::<Vec<_>>().join(", "))
}

fn to_labels(name: &str, array: &Array) -> Result<Vec<i64>, DataError> {
    integers(array).ok_or_else(|| DataError::Labels {
        array: name.to_owned(),
        got: format!("{} with shape {:?}", array.dtype(), array.shape()),
    })
}

/// The elements of an array that holds one integer a sample.
pub(super) fn integers(array: &Array) -> Option<Vec<i64>> {
    if array.shape().len() != 1 {
        return None;
    }
    let bytes = array.bytes();
    match array.dtype() {
        Dtype::I8 => Some(decoded(bytes, |word| i8::from_le_bytes(word).into())),
        Dtype::I16 => Some(decoded(bytes, |word| i16::from_le_bytes(word).into())),
        Dtype::I32 => Some(decoded(bytes, |word| i32::from_le_bytes(word).into())),
        Dtype::I64 => Some(decoded(bytes, i64::from_le_bytes)),
        Dtype::U8 => Some(decoded(bytes, |word| u8::from_le_bytes(word).into())),
        Dtype::U16 => Some(decoded(bytes, |word| u16::from_le_bytes(word).into())),
        Dtype::U32 => Some(decoded(bytes, |word| u32::from_le_bytes(word).into())),
        Dtype::U64 => {
            Some(decoded(bytes, |word| i64::try_from(u64::from_le_bytes(word)).unwrap_or(i64::MAX)))
        }
        Dtype::Bool | Dtype::F16 | Dtype::F32 | Dtype::F64 => None,
    }
}

fn decoded<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> i64) -> Vec<i64> {
    bytes.as_chunks().0.iter().map(|word| decode(*word)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::super::npz::{File, npz};
    use super::*;

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn pixels(samples: usize) -> (&'static str, &'static str, String, Vec<u8>) {
        let of_sample = |sample: u16| [f32::from(sample + 1) * 0.5; 2];
        let values: Vec<f32> = (0..u16::try_from(samples).unwrap()).flat_map(of_sample).collect();
        ("x", "<f4", format!("({samples}, 2)"), floats(&values))
    }

    fn data_set(extra: &Value) -> DataSet {
        let mut data = json!({ "name": "holdout", "source": { "uri": "file:///x.npz" } });
        let object = data.as_object_mut().unwrap();
        object.extend(extra.as_object().unwrap().clone());
        serde_json::from_value(data).unwrap()
    }

    fn spec(datatype: DataType, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: "pixels".to_owned(), datatype, shape: shape.to_vec() }
    }

    fn bind(file: &mut File, extra: &Value, spec: TensorSpec) -> Result<Samples, DataError> {
        Samples::bind(file, &data_set(extra), &[spec])
    }

    /// Samples of two pixels with labels, whole numbers of 64 bits.
    pub(crate) fn labelled(labels: &[i64]) -> Samples {
        let (name, descr, shape, data) = pixels(labels.len());
        let bytes = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        let mut file =
            npz(&[(name, descr, &shape, data), ("y", "<i8", &format!("({},)", labels.len()), bytes)]);
        let extra = json!({ "inputs": { "pixels": "x" }, "labels": "y" });
        bind(&mut file, &extra, spec(DataType::Fp32, &[-1, 2])).unwrap()
    }

    /// A sample of two pixels without a label.
    pub(crate) fn bound() -> Samples {
        let (name, descr, shape, data) = pixels(1);
        let mut file = npz(&[(name, descr, &shape, data)]);
        bind(&mut file, &json!({ "inputs": { "pixels": "x" } }), spec(DataType::Fp32, &[-1, 2])).unwrap()
    }

    fn refusal(arrays: &[(&str, &str, &str, Vec<u8>)], extra: &Value, spec: TensorSpec) -> String {
        bind(&mut npz(arrays), extra, spec).unwrap_err().to_string()
    }

    #[test]
    fn a_sample_becomes_a_request_with_a_batch_of_one() {
        let samples = labelled(&[7, -3]);
        assert_eq!((samples.count(), samples.label(1), samples.label(2)), (2, Some(-3), None));
        let (inputs, request) = samples.request(1).unwrap();
        let tensor = Tensor::new(vec![1, 2], TensorData::Fp32(vec![1.0, 1.0])).unwrap();
        assert_eq!(inputs, [NamedTensor { name: "pixels".to_owned(), tensor }]);
        assert_eq!(request, Request::new(&inputs).unwrap());
        let beyond = samples.request(2).unwrap_err();
        assert!(matches!(beyond, DataError::Sample { sample: 2 }), "{beyond}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_both_sides_are_named() {
        let renamed = json!({ "inputs": { "pixels": "x" } });
        let fits = || spec(DataType::Fp32, &[-1, 2]);
        let x = ("x", "<f4", "(2, 2)", floats(&[0.0; 4]));
        for (arrays, extra, spec, words) in [
            (
                vec![x.clone()],
                json!({ "inputs": { "pixel": "x" } }),
                fits(),
                "no input \"pixel\"; it takes pixels",
            ),
            (
                vec![x.clone()],
                json!({}),
                fits(),
                "there is no array \"pixels\"; the file has x: write `inputs: { pixels: ARRAY }`",
            ),
            (
                vec![x.clone()],
                renamed.clone(),
                spec(DataType::Int64, &[-1, 2]),
                "is float32, the model's input \"pixels\" takes INT64",
            ),
            (
                vec![x.clone()],
                renamed.clone(),
                spec(DataType::Fp32, &[-1, 3]),
                "has shape [2, 2], the model's input \"pixels\" takes [batch, 3]",
            ),
            (vec![x.clone()], renamed.clone(), spec(DataType::Fp32, &[-1, -1, 2]), "takes [batch, any, 2]"),
            (vec![x.clone()], renamed.clone(), spec(DataType::Fp32, &[4, 2]), "has 4 as its first axis"),
            (vec![x.clone()], renamed.clone(), spec(DataType::Fp32, &[]), "is one number for all samples"),
            (
                vec![("x", "<f4", "(2, 2)", floats(&[0.0, 1.0, f32::NAN, 0.0]))],
                renamed.clone(),
                fits(),
                "\"x\" has a NaN or infinite value, the first at index [1, 0]",
            ),
            (vec![("x", "<f4", "(0, 2)", vec![])], renamed.clone(), fits(), "no samples"),
            (vec![("x", "<f4", "()", floats(&[0.0]))], renamed.clone(), fits(), "no axis"),
        ] {
            let message = refusal(&arrays, &extra, spec);
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn padding_is_cut_off_along_the_last_open_axis() {
        let lengths = |lengths: [i32; 2]| {
            ("n", "<i4", "(2,)", lengths.into_iter().flat_map(i32::to_le_bytes).collect::<Vec<_>>())
        };
        let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let x = ("x", "<f4", "(2, 2, 3)", floats(&values));
        let extra = json!({ "inputs": { "pixels": "x" }, "lengths": { "pixels": "n" } });
        let cut = |shape: &[i64]| {
            let mut file = npz(&[x.clone(), lengths([1, 2])]);
            let samples = bind(&mut file, &extra, spec(DataType::Fp32, shape)).unwrap();
            samples.tensors(1).unwrap().remove(0)
        };
        let short = Tensor::new(vec![1, 2, 2], TensorData::Fp32(vec![6.0, 7.0, 9.0, 10.0])).unwrap();
        assert_eq!([cut(&[-1, 2, -1]), cut(&[-1, -1, -1]), cut(&[-1])], [(); 3].map(|()| short.clone()));
        let all = [6.0, 7.0, 8.0, 9.0, 10.0, 11.0];
        let whole = Tensor::new(vec![1, 2, 3], TensorData::Fp32(all.to_vec())).unwrap();
        assert_eq!(cut(&[-1, -1, 3]), whole);
        let open = || spec(DataType::Fp32, &[-1, 2, -1]);
        let floats = ("n", "<f4", "(2,)", floats(&[1.0, 1.0]));
        for (lengths, extra, spec, words) in [
            (lengths([1, 4]), extra.clone(), open(), "length 4 of sample 1 in \"n\" is not from 1 to 3"),
            (lengths([0, 1]), extra.clone(), open(), "length 0 of sample 0"),
            (lengths([1, -1]), extra.clone(), open(), "length -1 of sample 1"),
            (floats, extra.clone(), open(), "lengths \"n\" are float32 with shape [2]"),
            (("n", "<i4", "(1,)", vec![1, 0, 0, 0]), extra.clone(), open(), "\"n\" has 1 samples"),
            (lengths([1, 1]), extra.clone(), spec(DataType::Fp32, &[-1, 2, 3]), "leaves no axis"),
            (
                lengths([1, 1]),
                json!({ "inputs": { "pixels": "x" }, "lengths": { "pixel": "n" } }),
                open(),
                "no input \"pixel\"",
            ),
        ] {
            let message = refusal(&[x.clone(), lengths], &extra, spec);
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_label_beyond_every_class_is_never_a_class() {
        let x = ("x", "<f4", "(3, 2)", floats(&[0.0; 6]));
        let y = (
            "y",
            "<u8",
            "(3,)",
            [u64::MAX, 1, 1 << 63].iter().flat_map(|label| label.to_le_bytes()).collect(),
        );
        let extra = json!({ "inputs": { "pixels": "x" }, "labels": "y" });
        let samples = bind(&mut npz(&[x, y]), &extra, spec(DataType::Fp32, &[-1, 2])).unwrap();
        assert_eq!([0, 1, 2].map(|sample| samples.label(sample).unwrap()), [i64::MAX, 1, i64::MAX]);
    }

    #[test]
    fn labels_are_one_whole_number_a_sample() {
        let extra = json!({ "inputs": { "pixels": "x" }, "labels": "y" });
        let x = ("x", "<f4", "(2, 2)", floats(&[0.0; 4]));
        for (y, words) in [
            (
                ("y", "<f4", "(2,)", floats(&[0.0; 2])),
                "labels \"y\" are float32 with shape [2], expected one integer",
            ),
            (("y", "<i4", "(2, 1)", vec![0; 8]), "int32 with shape [2, 1]"),
            (("y", "<i4", "(3,)", vec![0; 12]), "\"y\" has 3 samples, expected 2 as in \"x\""),
            (("z", "<i4", "(2,)", vec![0; 8]), "there is no array \"y\""),
        ] {
            let message = refusal(&[x.clone(), y], &extra, spec(DataType::Fp32, &[-1, 2]));
            assert!(message.contains(words), "{message}");
        }
    }
}
