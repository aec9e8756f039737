//! The Python dictionary in an npy header, of which only three keys are known.

use super::ArrayProblem;

/// What an npy header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    /// The type string, such as `<f4`.
    pub(super) descr: String,
    /// Whether the first axis varies fastest.
    pub(super) fortran_order: bool,
    /// Size of each axis.
    pub(super) shape: Vec<usize>,
}

/// More axes than `NumPy` allows.
const MAX_AXES: usize = 64;

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`: each key once, nothing else.
pub(super) fn parse(text: &str) -> Result<Fields, ArrayProblem> {
    let mut cursor = Cursor { rest: text };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    cursor.expect('{')?;
    while !cursor.take('}') {
        let key = cursor.string()?;
        cursor.expect(':')?;
        let repeated = match key {
            "descr" => descr.replace(cursor.descr()?).is_some(),
            "fortran_order" => fortran_order.replace(cursor.boolean()?).is_some(),
            "shape" => shape.replace(cursor.tuple()?).is_some(),
            _ => return Err(ArrayProblem::Header("a key is not known")),
        };
        if repeated {
            return Err(ArrayProblem::Header("a key stands twice"));
        }
        if !cursor.take(',') {
            cursor.expect('}')?;
            break;
        }
    }
    if !cursor.rest.trim().is_empty() {
        return Err(ArrayProblem::Header("something follows the dictionary"));
    }
    match (descr, fortran_order, shape) {
        (Some(descr), Some(fortran_order), Some(shape)) => Ok(Fields { descr, fortran_order, shape }),
        _ => Err(ArrayProblem::Header("a key is missing")),
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Skips white space, then a character if it is the next one.
    fn take(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(wanted);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), ArrayProblem> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(ArrayProblem::Header("it is not a dictionary as expected"))
        }
    }

    fn string(&mut self) -> Result<&'a str, ArrayProblem> {
        let quote = if self.take('\'') { '\'' } else { self.expect('"').map(|()| '"')? };
        let (text, rest) =
            self.rest.split_once(quote).ok_or(ArrayProblem::Header("a string does not end"))?;
        self.rest = rest;
        Ok(text)
    }

    /// A type string; a list describes records.
    fn descr(&mut self) -> Result<String, ArrayProblem> {
        if self.take('[') {
            return Err(ArrayProblem::UnsupportedType { descr: "record".to_owned() });
        }
        self.string().map(str::to_owned)
    }

    fn boolean(&mut self) -> Result<bool, ArrayProblem> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(ArrayProblem::Header("fortran_order is neither True nor False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, ArrayProblem> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            sizes.push(self.number()?);
            if sizes.len() > MAX_AXES {
                return Err(ArrayProblem::Header("the shape has more than 64 axes"));
            }
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }

    fn number(&mut self) -> Result<usize, ArrayProblem> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().map_err(|_| ArrayProblem::Header("the shape has something that is not a size"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_numpy_writes_is_read() {
        let fields = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (720, 64), }   \n").unwrap();
        assert_eq!(fields, Fields { descr: "<f4".to_owned(), fortran_order: false, shape: vec![720, 64] });
        assert_eq!(
            parse("{'descr':'|u1','fortran_order':True,'shape':()}").unwrap().shape,
            Vec::<usize>::new()
        );
        assert_eq!(parse("{'shape': (3L,), 'fortran_order': False, \"descr\": '<i8'}").unwrap().shape, [3]);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'x': 1}",
            "__import__('os')",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
