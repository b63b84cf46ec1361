//! Types of elements: which Rust type is which dtype of varlstm.h.
// SPDX-License-Identifier: Apache-2.0

use std::fmt::Debug;

use varlstm_sys as sys;

mod sealed {
    /// Every bit pattern of these types is a value, and no other crate can add a type.
    pub trait Sealed {
        const DTYPE: i32;
    }
}

pub(crate) use sealed::Sealed;

/// What a buffer may hold: `f32`, `f64`, [`Bf16`], [`F16`], `i64`, and `u8` of
/// [resets](crate::Batch::set_resets_in_backend), with which nothing else works.
pub trait Element: Sealed + Copy + Default + Debug + PartialEq + Send + Sync + 'static {}

/// What can be computed with: every [`Element`] but `i64` and `u8`.
pub trait Scalar: Element {
    /// The type of losses, their weights and their gradients, and of the cell states of an
    /// [`RnnStep`](crate::RnnStep): `f64` for `f64`, else `f32`.
    type Loss: Real;
}

/// What parameters are trained in: `f32` and `f64`.
pub trait Real: Scalar {}

/// bfloat16, the upper half of an `f32`, as its bits. [`convert`](crate::convert) makes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// IEEE 754 binary16, as its bits. [`convert`](crate::convert) makes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct F16(pub u16);

macro_rules! element {
    ($type:ty, $dtype:ident) => {
        impl Sealed for $type {
            const DTYPE: i32 = sys::$dtype;
        }
        impl Element for $type {}
    };
    ($type:ty, $dtype:ident, $loss:ty) => {
        element!($type, $dtype);
        impl Scalar for $type {
            type Loss = $loss;
        }
    };
}

element!(f32, VARLSTM_DTYPE_F32, f32);
element!(f64, VARLSTM_DTYPE_F64, f64);
element!(Bf16, VARLSTM_DTYPE_BF16, f32);
element!(F16, VARLSTM_DTYPE_F16, f32);
element!(i64, VARLSTM_DTYPE_I64);
impl Sealed for u8 {
    const DTYPE: i32 = -1; // no varlstm_dtype
}
impl Element for u8 {}
impl Real for f32 {}
impl Real for f64 {}
