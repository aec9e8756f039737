//! `Cast`, where nothing depends on who does it.

use half::{bf16, f16};
use slipway_model::onnx::proto::tensor_proto::DataType as Code;

use super::{Call, Refusal, elements};
use crate::stage::simplify::tensor::{Element, Tensor, width};

/// A value of any type that is cast from; every one of them fits.
#[derive(Clone, Copy)]
enum Value {
    Whole(i128),
    Real(f64),
}

/// `Cast`.
pub(super) fn cast(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let to = i32::try_from(call.int("to", 0)).ok().and_then(|code| Code::try_from(code).ok());
    let to = to.ok_or(Refusal::Unknown)?;
    if to == input.code {
        return Ok(vec![input.clone()]);
    }
    // Engines go from doubles to half floats by way of singles, and round twice.
    if input.code == Code::Double && matches!(to, Code::Float16 | Code::Bfloat16) {
        return Err(Refusal::Unknown);
    }
    elements(&input.dims, width(to)?)?;
    let read = reader(input.code)?;
    let write = writer(to)?;
    let mut bytes = Vec::new();
    for element in input.bytes.chunks_exact(input.width()?) {
        write(read(element), &mut bytes)
            .ok_or(Refusal::Undefined("a value does not fit the type it is cast to"))?;
    }
    Ok(vec![Tensor { code: to, dims: input.dims.clone(), bytes: bytes.into() }])
}

fn reader(code: Code) -> Result<fn(&[u8]) -> Value, Refusal> {
    Ok(match code {
        Code::Float => |bytes| Value::Real(f32::read(bytes).into()),
        Code::Double => |bytes| Value::Real(f64::read(bytes)),
        Code::Float16 => |bytes| Value::Real(f16::from_bits(u16::read(bytes)).to_f64()),
        Code::Bfloat16 => |bytes| Value::Real(bf16::from_bits(u16::read(bytes)).to_f64()),
        Code::Bool => |bytes| Value::Whole(bool::read(bytes).into()),
        Code::Int8 => |bytes| Value::Whole(i8::read(bytes).into()),
        Code::Uint8 => |bytes| Value::Whole(u8::read(bytes).into()),
        Code::Int16 => |bytes| Value::Whole(i16::read(bytes).into()),
        Code::Uint16 => |bytes| Value::Whole(u16::read(bytes).into()),
        Code::Int32 => |bytes| Value::Whole(i32::read(bytes).into()),
        Code::Uint32 => |bytes| Value::Whole(u32::read(bytes).into()),
        Code::Int64 => |bytes| Value::Whole(i64::read(bytes).into()),
        Code::Uint64 => |bytes| Value::Whole(u64::read(bytes).into()),
        _ => return Err(Refusal::Unknown),
    })
}

type Writer = fn(Value, &mut Vec<u8>) -> Option<()>;

fn writer(code: Code) -> Result<Writer, Refusal> {
    Ok(match code {
        Code::Float => |value, out| put(value.single(), out),
        Code::Double => |value, out| put(value.double(), out),
        Code::Float16 => {
            |value, out| put(value.exact_single().map(|single| f16::from_f32(single).to_bits()), out)
        }
        Code::Bfloat16 => {
            |value, out| put(value.exact_single().map(|single| bf16::from_f32(single).to_bits()), out)
        }
        Code::Bool => |value, out| put(value.truth(), out),
        Code::Int8 => put_whole::<i8>,
        Code::Uint8 => put_whole::<u8>,
        Code::Int16 => put_whole::<i16>,
        Code::Uint16 => put_whole::<u16>,
        Code::Int32 => put_whole::<i32>,
        Code::Uint32 => put_whole::<u32>,
        Code::Int64 => put_whole::<i64>,
        Code::Uint64 => put_whole::<u64>,
        _ => return Err(Refusal::Unknown),
    })
}

fn put<T: Element>(value: Option<T>, out: &mut Vec<u8>) -> Option<()> {
    value.map(|value| value.write(out))
}

fn put_whole<T: Element + TryFrom<i128>>(value: Value, out: &mut Vec<u8>) -> Option<()> {
    put(value.whole().and_then(|whole| T::try_from(whole).ok()), out)
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest is what a cast does")]
#[expect(clippy::cast_precision_loss, reason = "rounding to the nearest is what a cast does")]
impl Value {
    fn double(self) -> Option<f64> {
        match self {
            Self::Whole(value) => Some(value as f64),
            Self::Real(value) => Some(value).filter(|value| !value.is_nan()),
        }
    }

    fn single(self) -> Option<f32> {
        match self {
            Self::Whole(value) => Some(value as f32),
            Self::Real(value) => Some(value as f32).filter(|value| !value.is_nan()),
        }
    }

    /// A single without rounding.
    fn exact_single(self) -> Option<f32> {
        let is_exact = match self {
            Self::Whole(value) => value.abs() <= 1 << f32::MANTISSA_DIGITS,
            Self::Real(value) => f64::from(value as f32).to_bits() == value.to_bits(),
        };
        self.single().filter(|_| is_exact)
    }

    fn truth(self) -> Option<bool> {
        match self {
            Self::Whole(value) => Some(value != 0),
            Self::Real(value) => Some(value != 0.0).filter(|_| !value.is_nan()),
        }
    }

    /// Towards zero.
    fn whole(self) -> Option<i128> {
        match self {
            Self::Whole(value) => Some(value),
            Self::Real(value) => Some(value as i128).filter(|_| value.abs() < 1e30),
        }
    }
}
