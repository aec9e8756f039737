//! A walk over the bytes of a model before anything is decoded.
//!
//! Two bytes on the wire can become hundreds in memory (an empty node), so a small hostile file could ask for all the
//! memory there is. The walk makes the price known first. It also finds floats in typed fields: packed, they are the
//! bytes that `raw_data` would hold, so that they can be taken for them and stay in the file.

use super::patched::Patched;
use super::reader::{Field as WireField, LEN, Reader, malformed};
use super::{Limits, OnnxError};
use bytes::Bytes;

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// Messages inside messages, at most.
const DEPTH: usize = 64;

/// What the allocator adds to a string.
const ALLOCATION: u64 = 16;

/// A message of the schema.
pub(super) struct Message {
    /// Bytes of its generated type.
    size: usize,
    /// Its fields that take memory beyond that, by number.
    fields: &'static [(u64, Field)],
}

/// What a field takes in memory beyond its message.
#[derive(Clone, Copy)]
enum Field {
    /// A message, by its index.
    Message(usize),
    /// A text, and the bytes of its place in a list.
    Text(usize),
    /// One of a list of bytes, which stay in the file.
    Bytes,
    /// Numbers of so many bytes, on the wire too.
    Fixed(u64),
    /// Numbers of so many bytes, of one byte or more on the wire.
    Varints(u64),
}

/// Refuses a model that would take more memory than allowed, or bytes that are no message at all; the bytes to decode.
pub(super) fn check_wire(map: &Bytes, limits: Limits) -> Result<Patched, OnnxError> {
    let mut walk = Walk { bytes: map, limits, structure: 0, values: 0, raw: Vec::new() };
    walk.message(Reader::new(map), MODEL, DEPTH)?;
    Ok(Patched::new(map, &walk.raw, RAW_DATA))
}

struct Walk<'a> {
    bytes: &'a [u8],
    limits: Limits,
    structure: u64,
    values: u64,
    /// Where the tags of floats stand that can be taken for raw data.
    raw: Vec<usize>,
}

impl Walk<'_> {
    fn message(&mut self, mut reader: Reader<'_>, kind: usize, depth: usize) -> Result<(), OnnxError> {
        if depth == 0 {
            return Err(malformed("messages are nested too deeply"));
        }
        let Message { size, fields } = &MESSAGES[kind];
        self.add_structure(*size as u64)?;
        let mut typed = TypedData::default();
        let mut values = 0;
        while let Some(field) = reader.field()? {
            if kind == TENSOR {
                typed.see(&field);
            }
            let known = fields.iter().find(|(number, _)| *number == field.number);
            let length = field.body.len() as u64;
            match known.map(|(_, known)| *known) {
                Some(Field::Message(child)) if field.wire_type == LEN => {
                    self.message(reader.inside(&field), child, depth - 1)?;
                }
                Some(Field::Text(place)) => self.add_structure(place as u64 + length + ALLOCATION)?,
                Some(Field::Bytes) => self.add_structure(size_of::<Bytes>() as u64)?,
                Some(Field::Fixed(bytes)) => values += length.max(bytes),
                Some(Field::Varints(bytes)) => values += bytes * numbers(&self.bytes[field.body.clone()]),
                Some(Field::Message(_)) | None => {}
            }
        }
        if let Some(floats) = typed.floats() {
            self.raw.push(floats.tag);
            values -= floats.body.len() as u64;
        }
        if kind == TENSOR { self.add_values(values) } else { self.add_structure(values) }
    }

    fn add_structure(&mut self, bytes: u64) -> Result<(), OnnxError> {
        self.structure += bytes;
        let limit = self.limits.structure_bytes;
        if self.structure > limit { Err(OnnxError::TooComplex { limit }) } else { Ok(()) }
    }

    fn add_values(&mut self, bytes: u64) -> Result<(), OnnxError> {
        self.values += bytes;
        let limit = self.limits.value_bytes;
        if self.values > limit { Err(OnnxError::TooManyValues { limit }) } else { Ok(()) }
    }
}

/// How many numbers stand in a packed field; a single one has no body.
fn numbers(body: &[u8]) -> u64 {
    body.iter().filter(|byte| **byte < 0x80).count().max(1) as u64
}

/// `raw_data`, length-delimited.
const RAW_DATA: u8 = 9 << 3 | 2;

/// The fields of a tensor that say where its data is.
#[derive(Default)]
struct TypedData {
    data_type: u64,
    float_data: Vec<WireField>,
    double_data: Vec<WireField>,
    has_raw: bool,
}

impl TypedData {
    fn see(&mut self, field: &WireField) {
        const SEEN: usize = 2;
        match field.number {
            2 => self.data_type = field.value,
            4 if self.float_data.len() < SEEN => self.float_data.push(field.clone()),
            10 if self.double_data.len() < SEEN => self.double_data.push(field.clone()),
            9 => self.has_raw = true,
            _ => {}
        }
    }

    /// The field that holds the bytes of raw data: the only one, packed, under a tag of one byte.
    fn floats(&self) -> Option<&WireField> {
        let fields = match self.data_type {
            // float and complex64
            1 | 14 => &self.float_data,
            // double and complex128
            11 | 15 => &self.double_data,
            _ => return None,
        };
        match fields.as_slice() {
            [field] if !self.has_raw && field.wire_type == LEN && field.is_short => Some(field),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::onnx::proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
        TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto::Dimension, type_proto,
    };

    const LOW: Limits = Limits { file_bytes: u64::MAX, structure_bytes: 1 << 20, value_bytes: 1 << 20 };

    fn with_graph(graph: GraphProto) -> ModelProto {
        ModelProto { graph: Some(graph), ..ModelProto::default() }
    }

    fn with_tensor(tensor: TensorProto) -> ModelProto {
        with_graph(GraphProto { initializer: vec![tensor], ..GraphProto::default() })
    }

    fn with_attribute(attribute: AttributeProto) -> ModelProto {
        let node = NodeProto { attribute: vec![attribute], ..NodeProto::default() };
        with_graph(GraphProto { node: vec![node], ..GraphProto::default() })
    }

    fn with_type(kind: TypeProto) -> ModelProto {
        let input = ValueInfoProto { r#type: Some(kind), ..ValueInfoProto::default() };
        with_graph(GraphProto { input: vec![input], ..GraphProto::default() })
    }

    fn check(model: &ModelProto) -> Result<Patched, OnnxError> {
        check_wire(&model.encode_to_vec().into(), LOW)
    }

    /// Lists of next to nothing, wherever the schema has a list: each is short on the wire and long in memory.
    #[test]
    fn every_list_is_counted_before_it_is_decoded() {
        const MANY: usize = 1 << 17;
        let entries = || vec![StringStringEntryProto::default(); MANY];
        let shape = TensorShapeProto { dim: vec![Dimension::default(); MANY] };
        let tensor = type_proto::Tensor { shape: Some(shape), ..type_proto::Tensor::default() };
        let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
        let structures = [
            with_graph(GraphProto { node: vec![NodeProto::default(); MANY], ..GraphProto::default() }),
            with_tensor(TensorProto { external_data: entries(), ..TensorProto::default() }),
            with_tensor(TensorProto { metadata_props: entries(), ..TensorProto::default() }),
            with_tensor(TensorProto { string_data: vec![Bytes::new(); MANY], ..TensorProto::default() }),
            with_attribute(AttributeProto { strings: vec![Bytes::new(); MANY], ..AttributeProto::default() }),
            with_type(kind),
            with_attribute(AttributeProto { ints: vec![1; 2 * MANY], ..AttributeProto::default() }),
            with_attribute(AttributeProto { floats: vec![1.0; 2 * MANY], ..AttributeProto::default() }),
        ];
        for model in structures {
            assert!(model.encoded_len() < 3 << 19);
            assert!(matches!(check(&model), Err(OnnxError::TooComplex { limit: 1_048_576 })));
        }
        let values = [
            with_tensor(TensorProto { dims: vec![1; 2 * MANY], ..TensorProto::default() }),
            with_tensor(TensorProto { int64_data: vec![1; 2 * MANY], ..TensorProto::default() }),
            with_tensor(TensorProto { int32_data: vec![1; 3 * MANY], ..TensorProto::default() }),
            with_tensor(TensorProto { float_data: vec![1.0; 3 * MANY], ..TensorProto::default() }),
        ];
        for model in values {
            assert!(matches!(check(&model), Err(OnnxError::TooManyValues { limit: 1_048_576 })));
        }
    }

    #[test]
    fn numbers_that_are_not_packed_are_counted_too() {
        let dims = [0x08, 0x01].repeat(1 << 18);
        let mut graph = vec![0x2a];
        prost::encoding::encode_varint(dims.len() as u64, &mut graph);
        graph.extend(dims);
        let mut model = vec![0x3a];
        prost::encoding::encode_varint(graph.len() as u64, &mut model);
        model.extend(graph);
        ModelProto::decode(&*model).unwrap();
        assert!(matches!(check_wire(&model.into(), LOW), Err(OnnxError::TooManyValues { .. })));
    }

    #[test]
    fn packed_floats_become_raw_data_and_nothing_else_does() {
        let floats =
            TensorProto { data_type: Some(1), float_data: vec![1.5, -2.0], ..TensorProto::default() };
        let doubles = TensorProto { data_type: Some(11), double_data: vec![0.1], ..TensorProto::default() };
        let wrong = TensorProto { data_type: Some(7), float_data: vec![1.0], ..TensorProto::default() };
        let both = TensorProto { raw_data: Some(vec![0; 8].into()), ..floats.clone() };
        let initializer = vec![floats, doubles, wrong.clone(), both.clone()];
        let bytes =
            Bytes::from(with_graph(GraphProto { initializer, ..GraphProto::default() }).encode_to_vec());
        let decoded = ModelProto::decode(check_wire(&bytes, LOW).unwrap()).unwrap();
        let tensors = decoded.graph.unwrap().initializer;
        let raw: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!((tensors[0].raw_data.as_deref(), tensors[0].float_data.len()), (Some(&*raw), 0));
        assert_eq!(tensors[1].raw_data.as_deref(), Some(&0.1_f64.to_le_bytes()[..]));
        assert_eq!(tensors[2..], [wrong, both]);
        let inside = |view: &[u8]| bytes.as_ptr_range().contains(&view.as_ptr());
        assert!(inside(tensors[0].raw_data.as_deref().unwrap()), "no copy is made");
    }

    /// A model whose graph holds these bytes.
    fn in_graph(graph: &[u8]) -> Bytes {
        let mut model = vec![0x3a];
        prost::encoding::encode_varint(graph.len() as u64, &mut model);
        model.extend(graph);
        model.into()
    }

    #[test]
    fn floats_in_pieces_stay_what_they_are() {
        let float = |value: f32| [&[0x22, 4][..], &value.to_le_bytes()].concat();
        let pieces = [&[0x10, 1][..], &float(1.0), &float(2.0)].concat();
        let long_tag = [&[0x10, 1, 0xa2, 0x00, 4][..], &3.0_f32.to_le_bytes()].concat();
        for (tensor, values) in [(pieces, vec![1.0, 2.0]), (long_tag, vec![3.0])] {
            let graph = [&[0x2a, u8::try_from(tensor.len()).unwrap()][..], &tensor].concat();
            let decoded = ModelProto::decode(check_wire(&in_graph(&graph), LOW).unwrap()).unwrap();
            let tensor = &decoded.graph.unwrap().initializer[0];
            assert_eq!((&tensor.float_data, tensor.raw_data.is_some()), (&values, false));
        }
    }

    #[test]
    fn a_field_longer_than_the_file_is_malformed() {
        for bytes in [&[0x3a, 0x7f, 0x0a][..], &[0xff; 11], &[0x3b]] {
            let checked = check_wire(&Bytes::copy_from_slice(bytes), LOW);
            assert!(matches!(checked, Err(OnnxError::Malformed { .. })));
        }
    }

    #[test]
    fn graphs_inside_graphs_end_somewhere() {
        let mut graph = GraphProto::default();
        for _ in 0..=DEPTH / 3 {
            let attribute = AttributeProto { g: Some(graph), ..AttributeProto::default() };
            let node = NodeProto { attribute: vec![attribute], ..NodeProto::default() };
            graph = GraphProto { node: vec![node], ..GraphProto::default() };
        }
        assert!(matches!(check(&with_graph(graph)), Err(OnnxError::Malformed { .. })));
    }
}
