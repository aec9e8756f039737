//! Floats of 16 bits.
//!
//! Values round half to even. A finite value beyond the largest finite one becomes that one, never an infinity, and
//! is counted, as is a value that becomes zero: whoever casts decides whether the loss is acceptable. Infinities and
//! NaN stay what they are. Results are the bits of the 16-bit float.

mod bfloat16;
mod float16;
mod losses;

pub use bfloat16::{from_bfloat16, to_bfloat16};
pub use float16::{from_float16, to_float16};
pub use losses::Losses;
