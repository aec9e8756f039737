//! Arithmetic of the types whose results are the same everywhere.

use std::cmp::Ordering;

use slipway_model::onnx::proto::tensor_proto::DataType as Code;

use super::walk::{broadcast, spread};
use super::{Call, Refusal};
use crate::stage::simplify::tensor::{Element, Tensor};

/// `Add`, `Sub`, `Mul`, `Div` and `Pow`.
pub(super) fn binary(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let (left, right) = operands(call)?;
    let made = match left.code {
        Code::Float => apply::<f32>(call.op(), &left, &right),
        Code::Double => apply::<f64>(call.op(), &left, &right),
        Code::Int32 => apply::<i32>(call.op(), &left, &right),
        Code::Int64 => apply::<i64>(call.op(), &left, &right),
        _ => Err(Refusal::Unknown),
    };
    Ok(vec![made?])
}

/// Two inputs brought to the same dimensions; before opset 7 broadcasting was another.
pub(super) fn operands(call: &Call<'_>) -> Result<(Tensor, Tensor), Refusal> {
    let (left, right) = (call.input(0)?, call.input(1)?);
    if call.opset < 7 || left.code != right.code {
        return Err(Refusal::Unknown);
    }
    let dims = broadcast(&left.dims, &right.dims)?;
    Ok((spread(left, &dims)?, spread(right, &dims)?))
}

fn apply<T: Number>(op: &str, left: &Tensor, right: &Tensor) -> Result<Tensor, Refusal> {
    let operation = match op {
        "Add" => T::plus,
        "Sub" => T::minus,
        "Mul" => T::times,
        "Div" => T::over,
        _ => T::power,
    };
    zip(left, right, operation)
}

fn zip<T: Number>(left: &Tensor, right: &Tensor, f: fn(T, T) -> Option<T>) -> Result<Tensor, Refusal> {
    let pairs = left.values::<T>().zip(right.values::<T>());
    let values = pairs.map(|(left, right)| f(left, right)).collect::<Option<Vec<_>>>();
    Ok(Tensor::new(left.dims.clone(), values.ok_or(OPEN)?))
}

const OPEN: Refusal = Refusal::Undefined("the result is not the same everywhere");

/// `Min` and `Max` of any number of inputs.
pub(super) fn extreme(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    if call.opset < 8 {
        return Err(Refusal::Unknown);
    }
    let mut so_far = call.input(0)?.clone();
    for index in 1..call.inputs.len() {
        let next = call.input(index)?;
        if next.code != so_far.code {
            return Err(Refusal::Unknown);
        }
        let dims = broadcast(&so_far.dims, &next.dims)?;
        let (left, right) = (spread(&so_far, &dims)?, spread(next, &dims)?);
        let is_least = call.op() == "Min";
        so_far = match left.code {
            Code::Float => zip::<f32>(&left, &right, either(is_least)),
            Code::Double => zip::<f64>(&left, &right, either(is_least)),
            Code::Int32 => zip::<i32>(&left, &right, either(is_least)),
            Code::Int64 => zip::<i64>(&left, &right, either(is_least)),
            _ => Err(Refusal::Unknown),
        }?;
    }
    Ok(vec![so_far])
}

fn either<T: Number>(is_least: bool) -> fn(T, T) -> Option<T> {
    if is_least { T::lesser } else { T::greater }
}

/// `Neg`, `Abs`, `Sqrt`, `Reciprocal`, `Floor` and `Ceil`.
pub(super) fn unary(call: &Call<'_>) -> Result<Vec<Tensor>, Refusal> {
    let input = call.input(0)?;
    let made = match input.code {
        Code::Float => float32(call.op(), input),
        Code::Double => float64(call.op(), input),
        Code::Int32 => integer::<i32>(call.op(), input),
        Code::Int64 => integer::<i64>(call.op(), input),
        _ => Err(Refusal::Unknown),
    };
    Ok(vec![made?])
}

fn map<T: Element>(input: &Tensor, f: impl Fn(T) -> Option<T>) -> Result<Tensor, Refusal> {
    let values = input.values::<T>().map(f).collect::<Option<Vec<_>>>();
    Ok(Tensor::new(input.dims.clone(), values.ok_or(OPEN)?))
}

fn integer<T: Number>(op: &str, input: &Tensor) -> Result<Tensor, Refusal> {
    let zero = || T::ZERO;
    match op {
        "Neg" => map(input, |value: T| zero().minus(value)),
        "Abs" => map(input, |value: T| if value < zero() { zero().minus(value) } else { Some(value) }),
        _ => Err(Refusal::Unknown),
    }
}

macro_rules! of_floats {
    ($name:ident, $kind:ty) => {
        fn $name(op: &str, input: &Tensor) -> Result<Tensor, Refusal> {
            let f: fn($kind) -> $kind = match op {
                "Neg" => |value| -value,
                "Abs" => <$kind>::abs,
                "Sqrt" => <$kind>::sqrt,
                "Reciprocal" => <$kind>::recip,
                "Floor" => <$kind>::floor,
                _ => <$kind>::ceil,
            };
            map(input, |value| Some(f(value)).filter(|value| !value.is_nan()))
        }
    };
}

of_floats!(float32, f32);
of_floats!(float64, f64);

/// Arithmetic that says when its result is not the same everywhere.
pub(super) trait Number: Element + PartialOrd {
    const ZERO: Self;
    fn plus(self, other: Self) -> Option<Self>;
    fn minus(self, other: Self) -> Option<Self>;
    fn times(self, other: Self) -> Option<Self>;
    fn over(self, other: Self) -> Option<Self>;
    fn power(self, other: Self) -> Option<Self>;
    fn lesser(self, other: Self) -> Option<Self>;
    fn greater(self, other: Self) -> Option<Self>;
}

macro_rules! integers {
    ($($kind:ty),+) => {
        $(impl Number for $kind {
            const ZERO: Self = 0;
            fn plus(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
            fn minus(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }
            fn times(self, other: Self) -> Option<Self> {
                self.checked_mul(other)
            }
            /// The specification truncates and its reference rounds down: only where they agree.
            fn over(self, other: Self) -> Option<Self> {
                let agree = self.checked_rem(other)? == 0 || (self < 0) == (other < 0);
                self.checked_div(other).filter(|_| agree)
            }
            fn power(self, other: Self) -> Option<Self> {
                self.checked_pow(u32::try_from(other).ok()?)
            }
            fn lesser(self, other: Self) -> Option<Self> {
                Some(self.min(other))
            }
            fn greater(self, other: Self) -> Option<Self> {
                Some(self.max(other))
            }
        })+
    };
}

integers!(i32, i64);

macro_rules! floats {
    ($($kind:ty),+) => {
        $(impl Number for $kind {
            const ZERO: Self = 0.0;
            fn plus(self, other: Self) -> Option<Self> {
                Some(self + other).filter(|value| !value.is_nan())
            }
            fn minus(self, other: Self) -> Option<Self> {
                Some(self - other).filter(|value| !value.is_nan())
            }
            fn times(self, other: Self) -> Option<Self> {
                Some(self * other).filter(|value| !value.is_nan())
            }
            fn over(self, other: Self) -> Option<Self> {
                Some(self / other).filter(|value| !value.is_nan())
            }
            /// Libraries of mathematics differ in the last bit, but not for squares of whole numbers.
            fn power(self, other: Self) -> Option<Self> {
                let square = self * self;
                let is_exact = self.fract() == 0.0 && self.abs() < 2048.0;
                Some(square).filter(|_| other - 2.0 == 0.0 && is_exact)
            }
            /// Zeros of either sign are equal, and engines pick either.
            fn lesser(self, other: Self) -> Option<Self> {
                let is_clear = self.partial_cmp(&other)? != Ordering::Equal || self.to_bits() == other.to_bits();
                Some(self.min(other)).filter(|_| is_clear)
            }
            fn greater(self, other: Self) -> Option<Self> {
                let is_clear = self.partial_cmp(&other)? != Ordering::Equal || self.to_bits() == other.to_bits();
                Some(self.max(other)).filter(|_| is_clear)
            }
        })+
    };
}

floats!(f32, f64);
