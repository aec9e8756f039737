//! A count of a message's parts, taken from the bytes before anything is decoded.
//!
//! Two bytes on the wire can become a few hundred in memory (an empty node), so a
//! small hostile file could ask for all the memory there is. Counting first costs a
//! walk over the tags and makes the price known.

use super::OnnxError;

const DEPTH: usize = 64;
const LEN: u64 = 2;

/// Which fields of which messages hold messages that hold messages.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    Training,
    Leaf,
}

impl Kind {
    fn child(self, field: u64) -> Option<Kind> {
        Some(match (self, field) {
            (Kind::Model, 7) | (Kind::Training, 1 | 2) | (Kind::Attribute, 6 | 11) => Kind::Graph,
            (Kind::Model, 20) => Kind::Training,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
            (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
            (Kind::Model, 8 | 14 | 26)
            | (Kind::Graph, 5 | 11..=16)
            | (Kind::Node, 1 | 2 | 9 | 10)
            | (Kind::Attribute, 5 | 9 | 10 | 14 | 15 | 22 | 23)
            | (Kind::Function, 4..=6 | 9 | 12 | 14) => Kind::Leaf,
            _ => return None,
        })
    }
}

/// Refuses a model of more than `limit` parts, or bytes that are no message at all.
pub(super) fn count_parts(bytes: &[u8], limit: u64) -> Result<u64, OnnxError> {
    let mut counter = Counter { count: 0, limit };
    counter.message(bytes, Kind::Model, DEPTH)?;
    Ok(counter.count)
}

struct Counter {
    count: u64,
    limit: u64,
}

impl Counter {
    fn message(&mut self, mut bytes: &[u8], kind: Kind, depth: usize) -> Result<(), OnnxError> {
        if depth == 0 {
            return Err(malformed("messages are nested too deeply"));
        }
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let body = field_body(&mut bytes, tag & 7)?;
            if tag & 7 != LEN {
                continue;
            }
            if let Some(child) = kind.child(tag >> 3) {
                self.add()?;
                if !matches!(child, Kind::Leaf) {
                    self.message(body, child, depth - 1)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self) -> Result<(), OnnxError> {
        self.count += 1;
        if self.count > self.limit { Err(OnnxError::TooComplex { limit: self.limit }) } else { Ok(()) }
    }
}

fn field_body<'a>(bytes: &mut &'a [u8], wire_type: u64) -> Result<&'a [u8], OnnxError> {
    let len = match wire_type {
        0 => return varint(bytes).map(|_| &[][..]),
        1 => 8,
        LEN => varint(bytes)?,
        5 => 4,
        _ => return Err(malformed("unknown wire type")),
    };
    let len = usize::try_from(len).map_err(|_| malformed("a field is longer than the file"))?;
    let (body, rest) =
        bytes.split_at_checked(len).ok_or_else(|| malformed("a field is longer than the file"))?;
    *bytes = rest;
    Ok(body)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, OnnxError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(|| malformed("ends inside a number"))?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(malformed("a number is too long"))
}

fn malformed(reason: &str) -> OnnxError {
    OnnxError::Malformed { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model whose graph holds `nodes` empty nodes: two bytes each.
    fn empty_nodes(nodes: usize) -> Vec<u8> {
        let graph: Vec<u8> = [0x0a, 0x00].repeat(nodes);
        let mut model = vec![0x3a];
        prost::encoding::encode_varint(graph.len() as u64, &mut model);
        model.extend(graph);
        model
    }

    #[test]
    fn many_empty_nodes_are_refused_before_decoding() {
        assert_eq!(count_parts(&empty_nodes(10), 11).unwrap(), 11);
        assert!(matches!(count_parts(&empty_nodes(11), 11), Err(OnnxError::TooComplex { limit: 11 })));
    }

    #[test]
    fn a_field_longer_than_the_file_is_malformed() {
        assert!(matches!(count_parts(&[0x3a, 0x7f, 0x0a], 10), Err(OnnxError::Malformed { .. })));
        assert!(matches!(count_parts(&[0xff; 11], 10), Err(OnnxError::Malformed { .. })));
        assert!(matches!(count_parts(&[0x3b], 10), Err(OnnxError::Malformed { .. })));
    }
}
