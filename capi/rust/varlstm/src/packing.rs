//! Pack and unpack: conversion between packed rows and other layouts.
// SPDX-License-Identifier: Apache-2.0

use std::os::raw::c_void;
use std::ptr;

use varlstm_sys as sys;

use crate::batch::Batch;
use crate::error::{check, Result};
use crate::view::{dim, View, ViewMut};
use crate::{Element, Scalar};

/// The layout of sequences that are not packed, with F features per token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[B, padded_len, F]`; holds padded_len, at least T.
    BatchFirst(usize),
    /// `[padded_len, B, F]`; holds padded_len, at least T.
    TimeMajor(usize),
    /// `[N, F]`, sequence after sequence.
    Ragged,
}

impl Layout {
    /// The varlstm_layout, and padded_len.
    pub(crate) fn code(self) -> Result<(i32, i64)> {
        Ok(match self {
            Layout::BatchFirst(padded_len) => (sys::VARLSTM_LAYOUT_BATCH_FIRST, dim("padded_len", padded_len)?),
            Layout::TimeMajor(padded_len) => (sys::VARLSTM_LAYOUT_TIME_MAJOR, dim("padded_len", padded_len)?),
            Layout::Ragged => (sys::VARLSTM_LAYOUT_RAGGED, 0),
        })
    }
}

impl Batch {
    /// packed `[N, features]` <- src in the given layout. Padding is never read.
    pub fn pack<'a, T: Element>(
        &self,
        layout: Layout,
        features: usize,
        src: impl Into<View<'a, T>>,
        packed: impl Into<ViewMut<'a, T>>,
    ) -> Result<()> {
        let at = self.sides(layout, features)?;
        let src = src.into().read(self.context(), "src", &at.outside)?;
        let packed = packed.into().write(self.context(), "packed", &at.packed)?;
        self.run(sys::varlstm_pack, T::DTYPE, &at, src, packed)
    }

    /// dst in the given layout <- packed `[N, features]`; padded positions are set to `pad_value`.
    pub fn unpack<'a, T: Element>(
        &self,
        layout: Layout,
        features: usize,
        pad_value: f64,
        packed: impl Into<View<'a, T>>,
        dst: impl Into<ViewMut<'a, T>>,
    ) -> Result<()> {
        let at = self.sides(layout, features)?;
        let packed = packed.into().read(self.context(), "packed", &at.packed)?;
        let dst = dst.into().write(self.context(), "dst", &at.outside)?;
        // SAFETY: the buffers have the elements that the layout asks for.
        check(unsafe {
            sys::varlstm_unpack(
                self.handle(),
                T::DTYPE,
                at.layout,
                at.padded_len,
                at.features,
                pad_value,
                packed,
                dst,
                ptr::null_mut(),
            )
        })
    }

    /// Adjoint of [`pack`](Batch::pack): dsrc <- dpacked `[N, features]`, 0 at the padding.
    pub fn pack_backward<'a, T: Scalar>(
        &self,
        layout: Layout,
        features: usize,
        dpacked: impl Into<View<'a, T>>,
        dsrc: impl Into<ViewMut<'a, T>>,
    ) -> Result<()> {
        let at = self.sides(layout, features)?;
        let dpacked = dpacked.into().read(self.context(), "dpacked", &at.packed)?;
        let dsrc = dsrc.into().write(self.context(), "dsrc", &at.outside)?;
        self.run(sys::varlstm_pack_backward, T::DTYPE, &at, dpacked, dsrc)
    }

    /// Adjoint of [`unpack`](Batch::unpack): dpacked `[N, features]` <- ddst.
    pub fn unpack_backward<'a, T: Scalar>(
        &self,
        layout: Layout,
        features: usize,
        ddst: impl Into<View<'a, T>>,
        dpacked: impl Into<ViewMut<'a, T>>,
    ) -> Result<()> {
        let at = self.sides(layout, features)?;
        let ddst = ddst.into().read(self.context(), "ddst", &at.outside)?;
        let dpacked = dpacked.into().write(self.context(), "dpacked", &at.packed)?;
        self.run(sys::varlstm_unpack_backward, T::DTYPE, &at, ddst, dpacked)
    }

    /// Runs what pack and both adjoints have the form of; the buffers are of the two sides.
    fn run(&self, function: PackFunction, dtype: i32, at: &Sides, from: *const c_void, to: *mut c_void) -> Result<()> {
        let (layout, padded_len, features) = (at.layout, at.padded_len, at.features);
        // SAFETY: the buffers have the elements that the layout asks for.
        check(unsafe { function(self.handle(), dtype, layout, padded_len, features, from, to, ptr::null_mut()) })
    }

    fn sides(&self, layout: Layout, features: usize) -> Result<Sides> {
        let packed = [("tokens", self.rows()?), ("features", features), ("1", 1)];
        let (code, padded_len) = layout.code()?;
        let outside = match layout {
            Layout::Ragged => packed,
            _ => [("batch", self.sequences()?), ("padded_len", padded_len as usize), ("features", features)],
        };
        Ok(Sides { layout: code, padded_len, features: dim("features", features)?, packed, outside })
    }
}

type PackFunction = unsafe extern "C" fn(
    batch: *const sys::varlstm_batch,
    dtype: i32,
    layout: i32,
    padded_len: i64,
    features: i64,
    from: *const c_void,
    to: *mut c_void,
    stream: *mut c_void,
) -> i32;

/// A layout as pack and unpack take it, with the shapes of both sides.
struct Sides {
    layout: i32,
    padded_len: i64,
    features: i64,
    packed: [(&'static str, usize); 3],
    outside: [(&'static str, usize); 3],
}
