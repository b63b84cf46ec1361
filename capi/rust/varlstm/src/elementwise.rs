//! Dropout, conversion between dtypes, and log-softmax.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::batch::Rows;
use crate::context::Context;
use crate::error::{check, Result};
use crate::view::{dim, View, ViewMut};
use crate::Scalar;

/// y <- x * keep(seed, element) / (1 - p): inverted dropout, p in [0, 1); every element of x.
pub fn dropout_forward<'a, T: Scalar>(
    context: &Context,
    p: f64,
    seed: u64,
    x: impl Into<View<'a, T>>,
    y: impl Into<ViewMut<'a, T>>,
) -> Result<()> {
    let (x, y) = (x.into(), y.into());
    let shape = [("count", x.len())];
    let (x, y) = (x.read(context, "x", &shape)?, y.write(context, "y", &shape)?);
    let (ctx, count) = (context.handle(), dim("count", shape[0].1)?);
    // SAFETY: the context is alive, both buffers have `count` elements.
    check(unsafe { sys::varlstm_dropout_forward(ctx, T::DTYPE, count, p, seed, x, y, ptr::null_mut()) })
}

/// dx <- dy * keep(seed, element) / (1 - p), as in forward; every element of dy.
pub fn dropout_backward<'a, T: Scalar>(
    context: &Context,
    p: f64,
    seed: u64,
    dy: impl Into<View<'a, T>>,
    dx: impl Into<ViewMut<'a, T>>,
) -> Result<()> {
    let (dy, dx) = (dy.into(), dx.into());
    let shape = [("count", dy.len())];
    let (dy, dx) = (dy.read(context, "dy", &shape)?, dx.write(context, "dx", &shape)?);
    let (ctx, count) = (context.handle(), dim("count", shape[0].1)?);
    // SAFETY: the context is alive, both buffers have `count` elements.
    check(unsafe { sys::varlstm_dropout_backward(ctx, T::DTYPE, count, p, seed, dy, dx, ptr::null_mut()) })
}

/// dst <- src, every element, rounded to the nearest, ties to even.
pub fn convert<'a, S: Scalar, D: Scalar>(
    context: &Context,
    src: impl Into<View<'a, S>>,
    dst: impl Into<ViewMut<'a, D>>,
) -> Result<()> {
    let src = src.into();
    let count = src.len();
    let src = src.read(context, "src", &[("count", count)])?;
    let dst = dst.into().write(context, "dst", &[("count", count)])?;
    let count = dim("count", count)?;
    // SAFETY: the context is alive, both buffers have `count` elements.
    check(unsafe { sys::varlstm_convert(context.handle(), S::DTYPE, D::DTYPE, count, src, dst, ptr::null_mut()) })
}

/// y `[rows, classes]` <- x - log(sum(exp(x))) along each row.
pub fn log_softmax_forward<'a, T: Scalar>(
    context: &Context,
    rows: impl Into<Rows<'a>>,
    classes: usize,
    x: impl Into<View<'a, T>>,
    y: impl Into<ViewMut<'a, T>>,
) -> Result<()> {
    let shape = [("rows", rows.into().count()?), ("classes", classes)];
    let x = x.into().read(context, "x", &shape)?;
    let y = y.into().write(context, "y", &shape)?;
    let (rows, classes) = (dim("rows", shape[0].1)?, dim("classes", classes)?);
    // SAFETY: the context is alive, both buffers have rows * classes elements.
    check(unsafe { sys::varlstm_log_softmax_forward(context.handle(), T::DTYPE, rows, classes, x, y, ptr::null_mut()) })
}

/// dx `[rows, classes]` <- dy - exp(y) * sum(dy) along each row, y from forward.
pub fn log_softmax_backward<'a, T: Scalar>(
    context: &Context,
    rows: impl Into<Rows<'a>>,
    classes: usize,
    y: impl Into<View<'a, T>>,
    dy: impl Into<View<'a, T>>,
    dx: impl Into<ViewMut<'a, T>>,
) -> Result<()> {
    let shape = [("rows", rows.into().count()?), ("classes", classes)];
    let y = y.into().read(context, "y", &shape)?;
    let dy = dy.into().read(context, "dy", &shape)?;
    let dx = dx.into().write(context, "dx", &shape)?;
    let (rows, classes) = (dim("rows", shape[0].1)?, dim("classes", classes)?);
    // SAFETY: the context is alive, the three buffers have rows * classes elements.
    check(unsafe {
        sys::varlstm_log_softmax_backward(context.handle(), T::DTYPE, rows, classes, y, dy, dx, ptr::null_mut())
    })
}
