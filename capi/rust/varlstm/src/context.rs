//! Contexts: a back end on a device. Everything else is made from one and keeps it alive.
// SPDX-License-Identifier: Apache-2.0

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use varlstm_sys as sys;

use crate::error::{check, Error, Result, Status};
use crate::memory::copy_to_host;
use crate::view::{Place, View};
use crate::Element;

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// The CPU. Slices and [`DeviceBuffer`](crate::DeviceBuffer)s are both its memory.
    Host,
    /// A GPU. Only [`DeviceBuffer`](crate::DeviceBuffer)s are its memory.
    Cuda,
}

impl Backend {
    pub(crate) fn code(self) -> i32 {
        match self {
            Backend::Host => sys::VARLSTM_BACKEND_HOST,
            Backend::Cuda => sys::VARLSTM_BACKEND_CUDA,
        }
    }
}

/// How products of `f32` matrices are computed on CUDA; no effect on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Math {
    /// In float.
    F32,
    /// On tensor cores: operands rounded to 10 bits of mantissa, sums in float.
    Tf32,
}

/// The library's version: 10000 * major + 100 * minor + patch.
pub fn version() -> i32 {
    // SAFETY: never fails.
    unsafe { sys::varlstm_version() }
}

/// One line: version, back ends, BLAS, instruction set chosen at run time.
pub fn build_info() -> &'static str {
    // SAFETY: a static string; never fails.
    unsafe { CStr::from_ptr(sys::varlstm_build_info()) }.to_str().unwrap_or("")
}

/// Devices that `backend` can use: 1 for the host; for CUDA 0 without GPU, driver or CUDA build.
pub fn device_count(backend: Backend) -> Result<usize> {
    let mut count = 0;
    // SAFETY: `count` is written.
    check(unsafe { sys::varlstm_device_count(backend.code(), &mut count) })?;
    Ok(count as usize)
}

/// Values that only the back end could see and that were bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceStatus {
    bits: i64,
    first_index: i64,
}

impl DeviceStatus {
    /// Nothing was bad.
    pub fn is_ok(self) -> bool {
        self.bits == 0
    }

    /// A length in the back end's memory was below 0 or beyond a bound, and was clamped.
    pub fn bad_length(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_LENGTH)
    }

    /// An id was outside the vocabulary: a row of zeros, no gradient.
    pub fn bad_token_id(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_TOKEN_ID)
    }

    /// A target was outside the classes and not ignored: loss and gradient 0, not counted.
    pub fn bad_label(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_LABEL)
    }

    /// CUDA: a reserve that no forward of this shape wrote; that backward's gradients mean nothing.
    pub fn bad_reserve(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_RESERVE)
    }

    /// CUDA: a stream's slot was outside the table or that of an earlier stream; no state changed, y 0.
    pub fn bad_slot(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_SLOT)
    }

    /// A reset in the back end's memory was neither 0 nor 1, and counted as 1.
    pub fn bad_reset(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_RESET)
    }

    /// The offsets of a word of [`ConvMax`](crate::ConvMax) decrease or are outside its rows.
    pub fn bad_offset(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_OFFSET)
    }

    /// CUDA: a row of `varlstm_adam_rows_step` or `varlstm_adam_rows_catch_up` waited for too long, and lost steps.
    pub fn bad_last_step(self) -> bool {
        self.has(sys::VARLSTM_DEVICE_STATUS_LAST_STEP)
    }

    /// The smallest bad index seen for the first of these that is set.
    pub fn first_index(self) -> Option<usize> {
        usize::try_from(self.first_index).ok()
    }

    fn has(self, bit: i32) -> bool {
        self.bits & i64::from(bit) != 0
    }
}

/// A back end on a device. Clones are the same context; it is freed with the last of them and of
/// what was made from it.
///
/// All work on CUDA is ordered on the default stream.
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: NonNull<sys::varlstm_ctx>,
    place: Place,
}

// SAFETY: varlstm.h: handles in use are immutable and may be shared between threads. Options, which
// change a context, are set by ContextBuilder before anybody else has it.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the last owner; whatever was made from the context held a clone and is gone.
        let status = unsafe { sys::varlstm_ctx_destroy(self.handle.as_ptr()) };
        debug_assert_eq!(status, sys::VARLSTM_OK);
    }
}

impl Context {
    /// The host back end with its default options.
    pub fn host() -> Result<Context> {
        Context::builder(Backend::Host).build()
    }

    /// The CUDA back end on GPU `device` with its default options.
    pub fn cuda(device: i32) -> Result<Context> {
        Context::builder(Backend::Cuda).device(device).build()
    }

    /// A context with options.
    pub fn builder(backend: Backend) -> ContextBuilder {
        ContextBuilder { backend, device: 0, options: Vec::new() }
    }

    /// Who computes.
    pub fn backend(&self) -> Backend {
        self.shared.place.backend
    }

    /// The device, 0 on the host.
    pub fn device(&self) -> i32 {
        self.shared.place.device
    }

    /// Host: threads that a call may use; 0 = as many as the machine has.
    pub fn threads(&self) -> Result<i64> {
        self.get(sys::VARLSTM_KEY_THREADS)
    }

    /// Whether a sequence's results are bit-identical whatever else is in the batch.
    pub fn batch_invariant(&self) -> Result<bool> {
        Ok(self.get(sys::VARLSTM_KEY_BATCH_INVARIANT)? != 0)
    }

    /// How products of `f32` matrices are computed on CUDA.
    pub fn math(&self) -> Result<Math> {
        let tf32 = self.get(sys::VARLSTM_KEY_MATH)? == i64::from(sys::VARLSTM_MATH_TF32);
        Ok(if tf32 { Math::Tf32 } else { Math::F32 })
    }

    /// Waits until all work is done.
    pub fn sync(&self) -> Result<()> {
        // SAFETY: the handle is alive.
        check(unsafe { sys::varlstm_sync(self.handle(), ptr::null_mut()) })
    }

    /// Waits until all work is done, then reads what only the back end could see and was bad;
    /// `reset` clears it afterwards.
    pub fn device_status(&self, reset: bool) -> Result<DeviceStatus> {
        let mut status = DeviceStatus { bits: 0, first_index: -1 };
        // SAFETY: the handle is alive, both outputs are written.
        check(unsafe {
            sys::varlstm_ctx_device_status(
                self.handle(),
                i32::from(reset),
                &mut status.bits,
                &mut status.first_index,
                ptr::null_mut(),
            )
        })?;
        Ok(status)
    }

    /// Copies what the back end's memory holds; waits until the work before it is done.
    pub fn read<'a, T: Element>(&self, from: impl Into<View<'a, T>>) -> Result<Vec<T>> {
        let from = from.into();
        let mut to = vec![T::default(); from.len()];
        copy_to_host(self, from, &mut to)?;
        Ok(to)
    }

    fn get(&self, key: i32) -> Result<i64> {
        let mut value = 0;
        // SAFETY: the handle is alive, `value` is written.
        check(unsafe { sys::varlstm_ctx_get_i64(self.handle(), key, &mut value) })?;
        Ok(value)
    }

    pub(crate) fn handle(&self) -> *mut sys::varlstm_ctx {
        self.shared.handle.as_ptr()
    }

    pub(crate) fn place(&self) -> Place {
        self.shared.place
    }
}

/// Options of a [`Context`].
#[derive(Clone, Debug)]
pub struct ContextBuilder {
    backend: Backend,
    device: i32,
    options: Vec<(i32, i64)>,
}

impl ContextBuilder {
    /// The device, 0 by default; the host has device 0 only.
    pub fn device(mut self, device: i32) -> Self {
        self.device = device;
        self
    }

    /// Host: threads that a call may use, at most 1024; 0 (default) = as many as the machine has.
    pub fn threads(self, threads: i64) -> Self {
        self.option(sys::VARLSTM_KEY_THREADS, threads)
    }

    /// Whether a sequence's results are bit-identical whatever else is in the batch: true by default.
    pub fn batch_invariant(self, invariant: bool) -> Self {
        self.option(sys::VARLSTM_KEY_BATCH_INVARIANT, i64::from(invariant))
    }

    /// How products of `f32` matrices are computed on CUDA.
    pub fn math(self, math: Math) -> Self {
        let value = match math {
            Math::F32 => sys::VARLSTM_MATH_F32,
            Math::Tf32 => sys::VARLSTM_MATH_TF32,
        };
        self.option(sys::VARLSTM_KEY_MATH, i64::from(value))
    }

    /// Creates the context. Errors: no such back end or device here; an option's value.
    pub fn build(self) -> Result<Context> {
        check_version()?;
        let mut handle = ptr::null_mut();
        // SAFETY: `handle` is written.
        check(unsafe { sys::varlstm_ctx_create(self.backend.code(), self.device, &mut handle) })?;
        let handle = NonNull::new(handle).expect("a context that was created");
        let place = Place { backend: self.backend, device: self.device };
        let context = Context { shared: Arc::new(Shared { handle, place }) };
        for (key, value) in self.options {
            // SAFETY: the handle is alive, and nobody else has it yet.
            check(unsafe { sys::varlstm_ctx_set_i64(context.handle(), key, value) })?;
        }
        Ok(context)
    }

    fn option(mut self, key: i32, value: i64) -> Self {
        self.options.push((key, value));
        self
    }
}

/// Version 0.x may change between minor versions.
fn check_version() -> Result<()> {
    let (major, minor) = (sys::VARLSTM_VERSION_MAJOR, sys::VARLSTM_VERSION_MINOR);
    let loaded = version();
    if loaded / 100 == 100 * major + minor {
        return Ok(());
    }
    let message = format!(
        "the library is version {}.{}.{}, this crate needs {}.{}",
        loaded / 10000,
        loaded / 100 % 100,
        loaded % 100,
        major,
        minor
    );
    Err(Error::new(Status::Unsupported, message))
}
