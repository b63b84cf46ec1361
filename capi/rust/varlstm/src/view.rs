//! What a call reads or writes: slices, or buffers of the back end's memory, with their lengths.
// SPDX-License-Identifier: Apache-2.0

use std::marker::PhantomData;
use std::os::raw::c_void;
use std::ptr;

use crate::context::{Backend, Context};
use crate::error::{Error, Result};
use crate::memory::DeviceBuffer;
use crate::Element;

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub backend: Backend,
    pub device: i32,
}

impl Place {
    pub const HOST: Place = Place { backend: Backend::Host, device: 0 };

    fn name(self) -> String {
        match self.backend {
            Backend::Host => "the host".to_string(),
            Backend::Cuda => format!("CUDA device {}", self.device),
        }
    }
}

/// Names and values of a buffer's dimensions.
pub(crate) type Shape<'s> = &'s [(&'s str, usize)];

/// What a call reads: made from `&[T]`, `&Vec<T>`, `&[T; N]` or `&DeviceBuffer<T>`.
#[derive(Debug)]
pub struct View<'a, T> {
    data: *const T,
    len: usize,
    place: Place,
    lifetime: PhantomData<&'a [T]>,
}

/// What a call writes: made from `&mut [T]`, `&mut Vec<T>`, `&mut [T; N]` or `&mut DeviceBuffer<T>`.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: *mut T,
    len: usize,
    place: Place,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: a View is a shared slice, a ViewMut an exclusive one, and they go where slices may go. On
// CUDA every thread's work is ordered on the one default stream.
unsafe impl<T: Sync> Send for View<'_, T> {}
unsafe impl<T: Sync> Sync for View<'_, T> {}
unsafe impl<T: Send> Send for ViewMut<'_, T> {}
unsafe impl<T: Sync> Sync for ViewMut<'_, T> {}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<'a, T: Element> View<'a, T> {
    /// # Safety
    /// `data` `[len]` is memory of `place` that is alive and not written during 'a.
    pub(crate) unsafe fn new(data: *const T, len: usize, place: Place) -> Self {
        View { data, len, place, lifetime: PhantomData }
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `middle` elements, and the rest. Panics where there are fewer, as a slice does.
    pub fn split_at(self, middle: usize) -> (View<'a, T>, View<'a, T>) {
        assert!(middle <= self.len, "middle = {} is larger than len = {}", middle, self.len);
        let View { data, len, place, lifetime } = self;
        let rest = data.wrapping_add(middle);
        (View { data, len: middle, place, lifetime }, View { data: rest, len: len - middle, place, lifetime })
    }

    /// The pointer for a call of `context`, which reads a buffer of that shape.
    pub(crate) fn read(self, context: &Context, name: &str, shape: Shape) -> Result<*const c_void> {
        check_buffer(context, name, self.place, self.len, shape)?;
        Ok(self.data.cast())
    }
}

impl<'a, T: Element> ViewMut<'a, T> {
    /// # Safety
    /// `data` `[len]` is memory of `place` that is alive and nobody else's during 'a.
    pub(crate) unsafe fn new(data: *mut T, len: usize, place: Place) -> Self {
        ViewMut { data, len, place, lifetime: PhantomData }
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `middle` elements, and the rest. Panics where there are fewer, as a slice does.
    pub fn split_at(self, middle: usize) -> (ViewMut<'a, T>, ViewMut<'a, T>) {
        assert!(middle <= self.len, "middle = {} is larger than len = {}", middle, self.len);
        let ViewMut { data, len, place, lifetime } = self;
        let rest = data.wrapping_add(middle);
        (ViewMut { data, len: middle, place, lifetime }, ViewMut { data: rest, len: len - middle, place, lifetime })
    }

    /// The pointer for a call of `context`, which writes a buffer of that shape.
    pub(crate) fn write(self, context: &Context, name: &str, shape: Shape) -> Result<*mut c_void> {
        check_buffer(context, name, self.place, self.len, shape)?;
        Ok(self.data.cast())
    }
}

/// Like [`View::read`]; NULL if there is none.
pub(crate) fn read_or_null<T: Element>(
    view: Option<View<'_, T>>,
    context: &Context,
    name: &str,
    shape: Shape,
) -> Result<*const c_void> {
    view.map_or(Ok(ptr::null()), |view| view.read(context, name, shape))
}

/// Like [`ViewMut::write`]; NULL if there is none.
pub(crate) fn write_or_null<T: Element>(
    view: Option<ViewMut<'_, T>>,
    context: &Context,
    name: &str,
    shape: Shape,
) -> Result<*mut c_void> {
    view.map_or(Ok(ptr::null_mut()), |view| view.write(context, name, shape))
}

/// The value of a dimension as the library takes it.
pub(crate) fn dim(name: &str, value: usize) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::invalid(format!("{} = {} is too large", name, value)))
}

fn check_buffer(ctx: &Context, name: &str, place: Place, len: usize, shape: Shape) -> Result<()> {
    if place != ctx.place() {
        let (there, here) = (place.name(), ctx.place().name());
        let text = format!("{} is memory of {}, but the context is on {}", name, there, here);
        return Err(Error::invalid(text));
    }
    match elements(shape) {
        Some(needed) if len >= needed => Ok(()),
        _ => Err(Error::invalid(format!("{} has {} elements, too few for {}", name, len, text(shape)))),
    }
}

/// An error if a buffer has more elements than its shape, for buffers whose sizes are their strides.
pub(crate) fn check_not_longer(name: &str, len: usize, shape: Shape) -> Result<()> {
    match elements(shape) {
        Some(needed) if len > needed => {
            let text = format!("{} has {} elements, too many for the {} of {}", name, len, needed, text(shape));
            Err(Error::invalid(text))
        }
        _ => Ok(()),
    }
}

fn elements(shape: Shape) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, (_, value)| product.checked_mul(*value))
}

fn text(shape: Shape) -> String {
    let dims: Vec<String> = shape.iter().map(|(dim, value)| format!("{} = {}", dim, value)).collect();
    format!("[{}]", dims.join(", "))
}

impl<'a, T: Element> From<&'a [T]> for View<'a, T> {
    fn from(slice: &'a [T]) -> Self {
        // SAFETY: a shared slice lives for 'a and is not written.
        unsafe { View::new(slice.as_ptr(), slice.len(), Place::HOST) }
    }
}

impl<'a, T: Element> From<&'a Vec<T>> for View<'a, T> {
    fn from(vec: &'a Vec<T>) -> Self {
        vec.as_slice().into()
    }
}

impl<'a, T: Element, const N: usize> From<&'a [T; N]> for View<'a, T> {
    fn from(array: &'a [T; N]) -> Self {
        array.as_slice().into()
    }
}

impl<'a, T: Element> From<&'a DeviceBuffer<T>> for View<'a, T> {
    fn from(buffer: &'a DeviceBuffer<T>) -> Self {
        buffer.view()
    }
}

impl<'a, T: Element> From<&'a mut [T]> for ViewMut<'a, T> {
    fn from(slice: &'a mut [T]) -> Self {
        // SAFETY: an exclusive slice lives for 'a and is nobody else's.
        unsafe { ViewMut::new(slice.as_mut_ptr(), slice.len(), Place::HOST) }
    }
}

impl<'a, T: Element> From<&'a mut Vec<T>> for ViewMut<'a, T> {
    fn from(vec: &'a mut Vec<T>) -> Self {
        vec.as_mut_slice().into()
    }
}

impl<'a, T: Element, const N: usize> From<&'a mut [T; N]> for ViewMut<'a, T> {
    fn from(array: &'a mut [T; N]) -> Self {
        array.as_mut_slice().into()
    }
}

impl<'a, T: Element> From<&'a mut DeviceBuffer<T>> for ViewMut<'a, T> {
    fn from(buffer: &'a mut DeviceBuffer<T>) -> Self {
        buffer.view_mut()
    }
}
