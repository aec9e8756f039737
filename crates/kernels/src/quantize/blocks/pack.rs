//! Codes as bytes, two to a byte where they have four bits.

use super::shape::NarrowBits;
use crate::wide::wide;

/// Packs codes, low nibble first, and fills what is left of the block with 0.
pub(super) fn pack(codes: &[u8], bits: NarrowBits, out: &mut [u8]) {
    let used = match bits {
        NarrowBits::Eight => {
            out[..codes.len()].copy_from_slice(codes);
            codes.len()
        }
        NarrowBits::Four => {
            let (pairs, odd) = codes.as_chunks();
            pack_pairs(pairs, out);
            if let [code] = odd {
                out[pairs.len()] = *code;
            }
            codes.len().div_ceil(2)
        }
    };
    out[used..].fill(0);
}

wide! {
    fn pack_pairs(pairs: &[[u8; 2]], out: &mut [u8]) {
        for (pair, out) in pairs.iter().zip(out) {
            // As one number, which needs no gathering of every second byte.
            let pair = u16::from_le_bytes(*pair);
            *out = (pair | pair >> 4).to_le_bytes()[0];
        }
    }
}

/// Sets the codes from a place on to 0.
pub(super) fn clear(bytes: &mut [u8], bits: NarrowBits, from: usize) {
    let (whole, rest) = (from * bits.count() / 8, from * bits.count() % 8);
    let bytes = &mut bytes[whole..];
    if rest > 0 {
        bytes[0] &= 0x0f;
    }
    bytes[rest.div_ceil(8)..].fill(0);
}

/// The code at a place of a packed slice.
pub(super) fn code(bytes: &[u8], bits: NarrowBits, index: usize) -> u8 {
    match bits {
        NarrowBits::Eight => bytes[index],
        NarrowBits::Four => bytes[index / 2] >> (4 * (index % 2)) & 0xf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_nibble_comes_first_and_the_rest_is_zero() {
        let mut out = [0xff; 3];
        pack(&[1, 2, 3], NarrowBits::Four, &mut out);
        assert_eq!(out, [0x21, 0x03, 0]);
        assert_eq!([0, 1, 2].map(|index| code(&out, NarrowBits::Four, index)), [1, 2, 3]);
        let mut out = [0xff; 4];
        pack(&[1, 200, 3], NarrowBits::Eight, &mut out);
        assert_eq!(out, [1, 200, 3, 0]);
        assert_eq!(code(&out, NarrowBits::Eight, 1), 200);
    }
}
