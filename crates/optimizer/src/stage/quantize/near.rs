//! Names that a pattern nearly fits.

/// Names that are shown.
const SHOWN: usize = 3;

/// Bytes of a pattern and of a name that are compared: the work grows with their product.
const COMPARED: usize = 256;

/// The names that take the fewest edits to fit a pattern, the nearest first.
///
/// A name is near when fewer edits than half of the pattern's own characters are enough.
pub(super) fn nearest<'a>(pattern: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let literal = pattern.bytes().filter(|byte| !matches!(byte, b'*' | b'?')).count();
    let edits = |name: &'a str| (distance(start(pattern), start(name)), name);
    let mut near: Vec<_> = names.map(edits).filter(|(edits, _)| 2 * edits <= literal).collect();
    near.sort_unstable();
    near.into_iter().take(SHOWN).map(|(_, name)| name.to_owned()).collect()
}

fn start(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(COMPARED)]
}

/// Bytes to insert, drop or replace until a name fits a pattern; none when it fits.
fn distance(pattern: &[u8], name: &[u8]) -> usize {
    // For each start of the name, the edits to fit the pattern that was read so far.
    let mut edits: Vec<usize> = (0..=name.len()).collect();
    for wanted in pattern {
        let mut diagonal = edits[0];
        edits[0] += usize::from(*wanted != b'*');
        for (place, found) in name.iter().enumerate() {
            let (above, left) = (edits[place + 1], edits[place]);
            edits[place + 1] = match wanted {
                b'*' => above.min(left),
                _ => {
                    (diagonal + usize::from(*wanted != b'?' && wanted != found)).min(above + 1).min(left + 1)
                }
            };
            diagonal = above;
        }
    }
    edits[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_around_stars_and_question_marks() {
        for (pattern, name, edits) in [
            ("/head/*", "/head/MatMul", 0),
            ("/Head/*", "/head/MatMul", 1),
            ("a?c", "abc", 0),
            ("a?c", "ac", 1),
            ("layer.1.weight", "layer1.weight", 1),
            ("*weight", "weights", 1),
            ("a*b*c", "axxbyy", 1),
            ("abc", "", 3),
            ("", "abc", 3),
            ("*", "", 0),
        ] {
            assert_eq!(distance(pattern.as_bytes(), name.as_bytes()), edits, "{pattern} {name}");
        }
    }

    #[test]
    fn the_nearest_names_come_first_and_strangers_not_at_all() {
        let names = ["layer2.weight", "layer1.weight", "layer1.bias", "head", "layer10.weight"];
        assert_eq!(
            nearest("layer1.weigth", names.into_iter()),
            ["layer1.weight", "layer10.weight", "layer2.weight"]
        );
        assert_eq!(nearest("zzz*", names.into_iter()), Vec::<String>::new());
    }
}
