//! How much room a model gets on a node, so that one pod cannot fill the node's disk.

use std::iter::Sum;

const MIB: u64 = 1 << 20;
/// What is beside the model: golden samples and the index, and whatever a file system rounds up.
const BESIDE: u64 = 256 * MIB;
/// Room for an artifact of unknown size, one that is pinned by digest in another registry: the most that a pull takes.
const UNKNOWN: u64 = 64 << 30;

/// Room for a model, in whole mebibytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    mebibytes: u64,
}

impl Room {
    /// Room for an artifact of so many bytes, with a quarter more and room for what is beside it.
    pub(crate) fn of(size: Option<i64>) -> Self {
        let known = size.and_then(|size| u64::try_from(size).ok());
        let bytes = known.map_or(UNKNOWN, |size| size.saturating_add(size / 4).saturating_add(BESIDE));
        Self { mebibytes: bytes.div_ceil(MIB) }
    }

    /// The same in bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.mebibytes.saturating_mul(MIB)
    }

    /// The same as a quantity, in the form in which the API server gives it back.
    pub(crate) fn quantity(self) -> String {
        if self.mebibytes.is_multiple_of(1024) {
            format!("{}Gi", self.mebibytes / 1024)
        } else {
            format!("{}Mi", self.mebibytes)
        }
    }
}

impl Sum for Room {
    fn sum<I: Iterator<Item = Self>>(rooms: I) -> Self {
        Self { mebibytes: rooms.map(|room| room.mebibytes).sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_quarter_more_than_its_size_and_room_beside_it() {
        let room = Room::of(Some(400 << 20));
        assert_eq!((room.bytes(), room.quantity().as_str()), (756 << 20, "756Mi"));
        assert_eq!(Room::of(Some(1)).bytes(), 257 << 20, "whole mebibytes");
        assert!(Room::of(Some(i64::MAX)).bytes() > u64::try_from(i64::MAX).unwrap());
    }

    #[test]
    fn an_unknown_size_has_the_most_room() {
        assert_eq!(Room::of(None).quantity(), "64Gi");
        assert_eq!([Room::of(None), Room::of(None)].into_iter().sum::<Room>().quantity(), "128Gi");
        assert_eq!(Room::of(Some(-1)), Room::of(None));
    }
}
