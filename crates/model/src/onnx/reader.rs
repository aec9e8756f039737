//! Fields of a protobuf message, read without decoding them.

use std::ops::Range;

use super::OnnxError;

/// The wire type of texts, bytes, messages and packed numbers.
pub(super) const LEN: u64 = 2;

/// A field as it stands on the wire.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Where its tag stands.
    pub(super) tag: usize,
    /// Whether the tag is a single byte.
    pub(super) is_short: bool,
    pub(super) number: u64,
    pub(super) wire_type: u64,
    /// The number itself, where the field is a varint.
    pub(super) value: u64,
    /// What follows the tag and the length; nothing for a varint.
    pub(super) body: Range<usize>,
}

/// A part of a file that is one message.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    left: Range<usize>,
}

impl<'a> Reader<'a> {
    /// The whole file.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, left: 0..bytes.len() }
    }

    /// The message that a field of this one holds.
    pub(super) fn inside(&self, field: &Field) -> Self {
        Self { bytes: self.bytes, left: field.body.clone() }
    }

    /// The next field, or none at the end.
    ///
    /// # Errors
    /// When the message ends inside the field, or has a field that no schema has.
    pub(super) fn field(&mut self) -> Result<Option<Field>, OnnxError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let tag = self.left.start;
        let key = self.varint()?;
        let is_short = self.left.start == tag + 1;
        let (number, wire_type) = (key >> 3, key & 7);
        let (mut value, mut length) = (0, 0);
        match wire_type {
            0 => value = self.varint()?,
            1 => length = 8,
            LEN => length = self.varint()?,
            5 => length = 4,
            _ => return Err(malformed("unknown wire type")),
        }
        let too_long = || malformed("a field is longer than the file");
        let length = usize::try_from(length).map_err(|_| too_long())?;
        if length > self.left.len() {
            return Err(too_long());
        }
        let body = self.left.start..self.left.start + length;
        self.left.start = body.end;
        Ok(Some(Field { tag, is_short, number, wire_type, value, body }))
    }

    fn varint(&mut self) -> Result<u64, OnnxError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let at = self.left.next().ok_or_else(|| malformed("ends inside a number"))?;
            let byte = self.bytes[at];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("a number is too long"))
    }
}

pub(super) fn malformed(reason: &str) -> OnnxError {
    OnnxError::Malformed { reason: reason.to_owned() }
}
