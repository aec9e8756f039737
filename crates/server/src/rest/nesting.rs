//! How elements lie in JSON: in one flat array, or in arrays nested exactly as the shape says.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::elements::Element;
use crate::tensor::element_count;

/// The elements of a shape, in order.
pub(super) fn read<T: Element>(data: &RawValue, shape: &[usize]) -> Result<Vec<T>, serde_json::Error> {
    // The text bounds the number of elements, so a shape that promises more reserves nothing.
    let count = element_count(shape).unwrap_or(usize::MAX);
    let values = Vec::with_capacity(count.min(data.get().len() / 2 + 1));
    let mut elements = Elements { shape, count, values, nested: None };
    let mut reader = serde_json::Deserializer::from_str(data.get());
    Value { elements: &mut elements, depth: 0 }.deserialize(&mut reader)?;
    Ok(elements.values)
}

struct Elements<'s, T> {
    shape: &'s [usize],
    count: usize,
    values: Vec<T>,
    /// Whether arrays lie in the outermost one; nothing before its first element, or where it cannot be told apart.
    nested: Option<bool>,
}

impl<T: Element> Elements<'_, T> {
    fn keep<E: Error>(
        &mut self,
        depth: usize,
        value: Option<T>,
        unexpected: Unexpected<'_>,
    ) -> Result<(), E> {
        let value = value.ok_or_else(|| E::invalid_value(unexpected, &T::EXPECTED))?;
        if depth != self.shape.len() {
            let flat = depth == 1 && self.nested != Some(true);
            if !flat {
                return Err(self.disagrees("elements", depth));
            }
            self.nested = Some(false);
        }
        if self.values.len() >= self.count {
            let count = self.count;
            return Err(E::custom(format_args!("more than the {count} elements that the shape says")));
        }
        self.values.push(value);
        Ok(())
    }

    /// Enters an array at this depth: the outermost has depth 0.
    fn open<E: Error>(&mut self, depth: usize) -> Result<(), E> {
        if depth == 0 {
            return Ok(());
        }
        if depth >= self.shape.len() || self.nested == Some(false) {
            return Err(self.disagrees("an array", depth));
        }
        self.nested = Some(true);
        Ok(())
    }

    /// Leaves an array of so many members.
    fn close<E: Error>(&self, depth: usize, members: usize) -> Result<(), E> {
        let counts = depth > 0 || self.nested == Some(true);
        match self.shape.get(depth) {
            Some(size) if counts && *size != members => {
                Err(self.disagrees(format_args!("an array of {members}"), depth))
            }
            _ => Ok(()),
        }
    }

    fn disagrees<E: Error>(&self, found: impl fmt::Display, depth: usize) -> E {
        let shape = self.shape;
        E::custom(format_args!(
            "its data has {found} at depth {depth}, and its shape is {shape:?}: send it flat, or nested as the shape says"
        ))
    }
}

/// One JSON value at a depth.
struct Value<'e, 's, T> {
    elements: &'e mut Elements<'s, T>,
    depth: usize,
}

impl<'de, T: Element> DeserializeSeed<'de> for Value<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(ValueVisitor { value: self, element: PhantomData })
    }
}

struct ValueVisitor<'e, 's, T> {
    value: Value<'e, 's, T>,
    element: PhantomData<T>,
}

impl<T: Element> ValueVisitor<'_, '_, T> {
    fn keep<E: Error>(self, value: Option<T>, unexpected: Unexpected<'_>) -> Result<(), E> {
        self.value.elements.keep(self.value.depth, value, unexpected)
    }
}

impl<'de, T: Element> Visitor<'de> for ValueVisitor<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or an array", T::EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Value { elements, depth } = self.value;
        elements.open(depth)?;
        let mut members = 0;
        while items.next_element_seed(Value { elements: &mut *elements, depth: depth + 1 })?.is_some() {
            members += 1;
        }
        elements.close(depth, members)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.keep(T::from_f64(value), Unexpected::Float(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.keep(T::from_i64(value), Unexpected::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.keep(T::from_u64(value), Unexpected::Unsigned(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.keep(T::from_bool(value), Unexpected::Bool(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.keep(T::from_text(value), Unexpected::Str(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.keep(T::from_null(), Unexpected::Unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(shape: &[usize], json: &str) -> Result<Vec<i32>, String> {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        read(&raw, shape).map_err(|error| error.to_string())
    }

    #[test]
    fn flat_data_and_exact_nesting_are_the_same() {
        for json in ["[1,2,3,4,5,6]", "[[1,2,3],[4,5,6]]"] {
            assert_eq!(integers(&[2, 3], json), Ok(vec![1, 2, 3, 4, 5, 6]), "{json}");
        }
        for (shape, json) in
            [(&[][..], "7"), (&[], "[7]"), (&[1], "[7]"), (&[1, 1, 1], "[7]"), (&[1, 1], "[[7]]")]
        {
            assert_eq!(integers(shape, json), Ok(vec![7]), "{shape:?} {json}");
        }
        for (shape, json) in [(&[0][..], "[]"), (&[0, 3], "[]"), (&[2, 0], "[]"), (&[2, 0], "[[],[]]")] {
            assert_eq!(integers(shape, json), Ok(vec![]), "{shape:?} {json}");
        }
    }

    #[test]
    fn other_nesting_is_refused_with_both() {
        for (json, found) in [
            ("[[1,2],[3,4],[5,6]]", "an array of 2 at depth 1"),
            ("[[1,2,3,4],[5,6]]", "an array of 4 at depth 1"),
            ("[[1,2,3]]", "an array of 1 at depth 0"),
            ("[[[1]],[2,[3]],4,5,[6]]", "an array at depth 2"),
            ("[[[1,2,3],[4,5,6]]]", "an array at depth 2"),
            ("[1,2,3,[4,5,6]]", "an array at depth 1"),
            ("[[1,2,3],4,5,6]", "elements at depth 1"),
            ("6", "elements at depth 0"),
        ] {
            let error = integers(&[2, 3], json).unwrap_err();
            assert!(error.contains(found) && error.contains("its shape is [2, 3]"), "{json}: {error}");
        }
    }

    #[test]
    fn more_elements_than_the_shape_says_are_refused_early() {
        let error = integers(&[2], "[1, 2, 3]").unwrap_err();
        assert!(error.contains("more than the 2 elements"), "{error}");
    }

    #[test]
    fn arrays_nested_beyond_reason_are_an_error() {
        // The raw value itself is refused at this depth already.
        let json = "[".repeat(100_000);
        assert!(serde_json::from_str::<Box<RawValue>>(&json).is_err());
    }
}
