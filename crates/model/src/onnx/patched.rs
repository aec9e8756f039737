//! Bytes in which single ones are replaced, without a copy of the others.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A file to decode: what lies between replaced bytes is a view of it.
#[derive(Debug)]
pub(super) struct Patched {
    /// None is empty.
    pieces: VecDeque<Bytes>,
    remaining: usize,
}

impl Patched {
    /// `bytes`, with `byte` at each of the places, which ascend.
    pub(super) fn new(bytes: &Bytes, places: &[usize], byte: u8) -> Self {
        let byte = Bytes::copy_from_slice(&[byte]);
        let mut pieces = VecDeque::new();
        let mut start = 0;
        for place in places {
            pieces.push_back(bytes.slice(start..*place));
            pieces.push_back(byte.clone());
            start = place + 1;
        }
        pieces.push_back(bytes.slice(start..));
        pieces.retain(|piece| !piece.is_empty());
        Self { pieces, remaining: bytes.len() }
    }
}

impl Buf for Patched {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        while count > 0 {
            let piece = &mut self.pieces[0];
            let step = count.min(piece.len());
            piece.advance(step);
            count -= step;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    /// A view, where the bytes lie in one piece: then nothing is copied.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        match self.pieces.front() {
            Some(piece) if piece.len() >= count => {
                let view = piece.slice(..count);
                self.advance(count);
                view
            }
            _ => {
                let mut copy = BytesMut::with_capacity(count);
                copy.put(self.take(count));
                copy.freeze()
            }
        }
    }
}
