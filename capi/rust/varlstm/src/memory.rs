//! The back end's memory: buffers of elements, and the scratch memory of calls.
// SPDX-License-Identifier: Apache-2.0

use std::marker::PhantomData;
use std::mem;
use std::os::raw::c_void;
use std::ptr;

use varlstm_sys as sys;

use crate::context::Context;
use crate::error::{check, Error, Result};
use crate::view::{dim, View, ViewMut};
use crate::Element;

/// Bytes from varlstm_alloc, aligned to 256 and zero at first.
#[derive(Debug)]
struct Allocation {
    data: *mut c_void,
    bytes: i64,
    context: Context,
}

// SAFETY: memory that this value alone owns; who may touch it is decided by borrows of the owner.
unsafe impl Send for Allocation {}
unsafe impl Sync for Allocation {}

impl Allocation {
    fn zeros(context: &Context, bytes: i64) -> Result<Allocation> {
        let mut made = Allocation { data: ptr::null_mut(), bytes: 0, context: context.clone() };
        // SAFETY: the handle is alive, `data` is written.
        check(unsafe { sys::varlstm_alloc(context.handle(), bytes, &mut made.data) })?;
        made.bytes = bytes;
        made.zero()?;
        Ok(made)
    }

    fn zero(&mut self) -> Result<()> {
        // SAFETY: `data` has that many bytes.
        check(unsafe { sys::varlstm_zero(self.context.handle(), self.data, self.bytes, ptr::null_mut()) })
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: from varlstm_alloc of this context, which is alive; freed once. On CUDA the free
        // waits for the work that uses it.
        let status = unsafe { sys::varlstm_free(self.context.handle(), self.data) };
        debug_assert_eq!(status, sys::VARLSTM_OK);
    }
}

/// `len` elements of the back end's memory: device memory on CUDA, host memory on the host.
#[derive(Debug)]
pub struct DeviceBuffer<T: Element> {
    memory: Allocation,
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Element> DeviceBuffer<T> {
    /// `len` elements of zero.
    pub fn zeros(context: &Context, len: usize) -> Result<Self> {
        let bytes = len.checked_mul(mem::size_of::<T>()).and_then(|n| i64::try_from(n).ok());
        let bytes = bytes.ok_or_else(|| Error::invalid(format!("len = {} is too large", len)))?;
        Ok(DeviceBuffer { memory: Allocation::zeros(context, bytes)?, len, elements: PhantomData })
    }

    /// A copy of `values`.
    pub fn from_slice(context: &Context, values: &[T]) -> Result<Self> {
        let mut made = Self::zeros(context, values.len())?;
        made.write(values)?;
        Ok(made)
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Overwrites all elements; `values` has as many. Waits until it is done.
    pub fn write(&mut self, values: &[T]) -> Result<()> {
        self.check_len("values", values.len())?;
        let context = &self.memory.context;
        // SAFETY: both have `bytes` bytes.
        check(unsafe {
            sys::varlstm_copy(
                context.handle(),
                self.memory.data,
                values.as_ptr().cast(),
                self.memory.bytes,
                sys::VARLSTM_COPY_TO_BACKEND,
                ptr::null_mut(),
            )
        })?;
        context.sync() // pinned memory is read when the copy runs, and `values` may change afterwards
    }

    /// Copies all elements to `to`, which has as many. Waits until the work before it is done.
    pub fn read(&self, to: &mut [T]) -> Result<()> {
        self.check_len("to", to.len())?;
        copy_to_host(&self.memory.context, self.view(), to)
    }

    /// A copy of all elements. Waits until the work before it is done.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.memory.context.read(self.view())
    }

    /// Sets all elements to zero.
    pub fn set_zero(&mut self) -> Result<()> {
        self.memory.zero()
    }

    /// All elements, to be read.
    pub fn view(&self) -> View<'_, T> {
        // SAFETY: alive and not written while `self` is borrowed.
        unsafe { View::new(self.memory.data.cast(), self.len, self.memory.context.place()) }
    }

    /// All elements, to be written.
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        // SAFETY: alive and nobody else's while `self` is borrowed.
        unsafe { ViewMut::new(self.memory.data.cast(), self.len, self.memory.context.place()) }
    }

    fn check_len(&self, name: &str, len: usize) -> Result<()> {
        if len == self.len {
            return Ok(());
        }
        let text = format!("{} has {} elements, the buffer has {}", name, len, self.len);
        Err(Error::invalid(text))
    }
}

/// to <- from, which has as many elements.
pub(crate) fn copy_to_host<T: Element>(context: &Context, from: View<'_, T>, to: &mut [T]) -> Result<()> {
    let data = from.read(context, "from", &[("len", to.len())])?;
    let bytes = dim("bytes", mem::size_of_val(to))?;
    // SAFETY: both have `bytes` bytes, and every pattern of bits is a T.
    check(unsafe {
        sys::varlstm_copy(
            context.handle(),
            to.as_mut_ptr().cast(),
            data,
            bytes,
            sys::VARLSTM_COPY_TO_HOST,
            ptr::null_mut(),
        )
    })
}

/// Scratch memory of calls. It grows to what the largest call needs and then stays; a call that
/// finds it large enough allocates nothing.
#[derive(Debug)]
pub struct Workspace {
    context: Context,
    memory: Option<Allocation>,
}

impl Workspace {
    /// Empty at first.
    pub fn new(context: &Context) -> Self {
        Workspace { context: context.clone(), memory: None }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.bytes as usize)
    }

    /// Pointer and bytes for a call of `context`, at least `bytes`.
    pub(crate) fn take(&mut self, context: &Context, bytes: i64) -> Result<(*mut c_void, i64)> {
        self.check_context(context, "workspace")?;
        if self.memory.as_ref().map_or(0, |memory| memory.bytes) < bytes {
            self.memory = None; // given back before more is asked for
            self.memory = Some(Allocation::zeros(context, bytes)?);
        }
        Ok(self.held())
    }

    /// Pointer and bytes for an operation of varlstm_op with these sizes.
    pub(crate) fn take_for(
        &mut self,
        context: &Context,
        op: i32,
        dtype: i32,
        [rows, a, b]: [i64; 3],
    ) -> Result<(*mut c_void, i64)> {
        let mut bytes = 0;
        // SAFETY: the context is alive, `bytes` is written.
        check(unsafe { sys::varlstm_op_workspace(context.handle(), op, dtype, rows, a, b, &mut bytes) })?;
        self.take(context, bytes)
    }

    fn held(&self) -> (*mut c_void, i64) {
        self.memory.as_ref().map_or((ptr::null_mut(), 0), |memory| (memory.data, memory.bytes))
    }

    fn check_context(&self, context: &Context, name: &str) -> Result<()> {
        if self.context.place() == context.place() {
            return Ok(());
        }
        let text = format!("{} was made for another back end or device than the context's", name);
        Err(Error::invalid(text))
    }
}

/// What [`Rnn::forward_save`](crate::Rnn::forward_save) saves for
/// [`Rnn::backward`](crate::Rnn::backward). It grows like a [`Workspace`].
#[derive(Debug)]
pub struct Reserve {
    memory: Workspace,
}

impl Reserve {
    /// Empty at first.
    pub fn new(context: &Context) -> Self {
        Reserve { memory: Workspace::new(context) }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    pub(crate) fn write(&mut self, context: &Context, bytes: i64) -> Result<(*mut c_void, i64)> {
        self.memory.check_context(context, "reserve")?;
        self.memory.take(context, bytes)
    }

    pub(crate) fn read(&self, context: &Context) -> Result<(*const c_void, i64)> {
        self.memory.check_context(context, "reserve")?;
        let (data, bytes) = self.memory.held();
        Ok((data, bytes))
    }
}
