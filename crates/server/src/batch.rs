//! Joining requests along the first axis, and taking the answers apart again.

use crate::tensor::Tensor;

/// Rows of one request: the first dimension, where every input has the same and it is not zero.
pub(crate) fn rows(inputs: &[Tensor]) -> Option<usize> {
    let mut sizes = inputs.iter().map(|tensor| tensor.shape().first().copied());
    let first = sizes.next()??;
    (first > 0 && sizes.all(|size| size == Some(first))).then_some(first)
}

/// Whether two requests differ in their rows alone.
pub(crate) fn joinable(left: &[Tensor], right: &[Tensor]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(a, b)| {
            a.datatype() == b.datatype()
                && a.shape().get(1..).is_some()
                && a.shape().get(1..) == b.shape().get(1..)
        })
}

/// One request out of several; nothing where they are not joinable.
pub(crate) fn join(requests: &[&[Tensor]]) -> Option<Vec<Tensor>> {
    let (first, others) = requests.split_first()?;
    let mut joined = Vec::with_capacity(first.len());
    for (index, tensor) in first.iter().enumerate() {
        let (mut shape, mut data) = tensor.clone().into_parts();
        for other in others {
            let tensor = other.get(index)?;
            let rows = tensor.shape().first()?;
            let total = shape.first_mut()?;
            *total = total.checked_add(*rows)?;
            if !data.append(tensor.data()) {
                return None;
            }
        }
        joined.push(Tensor::new(shape, data)?);
    }
    Some(joined)
}

/// The answers of each request; nothing where an output does not have as many rows as went in.
pub(crate) fn split(outputs: &[Tensor], rows: &[usize]) -> Option<Vec<Vec<Tensor>>> {
    let total: usize = rows.iter().sum();
    let mut start = 0;
    let mut answers = Vec::with_capacity(rows.len());
    for &count in rows {
        let part =
            outputs.iter().map(|tensor| row_range(tensor, total, start, count)).collect::<Option<_>>()?;
        answers.push(part);
        start += count;
    }
    Some(answers)
}

fn row_range(tensor: &Tensor, total: usize, start: usize, count: usize) -> Option<Tensor> {
    let (first, rest) = tensor.shape().split_first()?;
    if *first != total {
        return None;
    }
    let width = rest.iter().product::<usize>();
    let data = tensor.data().slice(start * width..(start + count) * width)?;
    let shape = std::iter::once(count).chain(rest.iter().copied()).collect();
    Tensor::new(shape, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;

    fn tensor(shape: &[usize], values: &[i32]) -> Tensor {
        Tensor::new(shape.to_vec(), TensorData::Int32(values.to_vec())).unwrap()
    }

    #[test]
    fn joined_requests_come_apart_in_order() {
        let (one, two) = (vec![tensor(&[1, 2], &[1, 2])], vec![tensor(&[2, 2], &[3, 4, 5, 6])]);
        assert!(joinable(&one, &two));
        let joined = join(&[&one, &two]).unwrap();
        assert_eq!(joined, [tensor(&[3, 2], &[1, 2, 3, 4, 5, 6])]);
        assert_eq!(split(&joined, &[1, 2]).unwrap(), [one, two]);
    }

    #[test]
    fn requests_of_different_width_or_type_are_not_joinable() {
        let one = [tensor(&[1, 2], &[1, 2])];
        assert!(!joinable(&one, &[tensor(&[1, 3], &[1, 2, 3])]));
        assert!(!joinable(&one, &[Tensor::new(vec![1, 2], TensorData::Int64(vec![1, 2])).unwrap()]));
        let scalar = [tensor(&[], &[1])];
        assert!(!joinable(&scalar, &scalar));
    }

    #[test]
    fn rows_need_agreement_and_more_than_none() {
        assert_eq!(rows(&[tensor(&[2, 1], &[1, 2]), tensor(&[2], &[1, 2])]), Some(2));
        assert_eq!(rows(&[tensor(&[2, 1], &[1, 2]), tensor(&[1], &[1])]), None);
        assert_eq!(rows(&[tensor(&[0, 1], &[])]), None);
        assert_eq!(rows(&[tensor(&[], &[1])]), None);
        assert_eq!(rows(&[]), None);
    }

    #[test]
    fn output_without_a_row_for_each_input_row_is_refused() {
        assert_eq!(split(&[tensor(&[1, 2], &[1, 2])], &[1, 2]), None);
        assert_eq!(split(&[tensor(&[], &[1])], &[1]), None);
    }
}
