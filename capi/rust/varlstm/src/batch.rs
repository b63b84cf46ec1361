//! Batches: the plan of one mini-batch, made from its lengths.
// SPDX-License-Identifier: Apache-2.0

use std::ptr::{self, NonNull};

use varlstm_sys as sys;

use crate::context::Context;
use crate::error::{check, Error, Result, Status};
use crate::view::{dim, View};

/// Index arrays of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchArray {
    /// `[B]` lengths in the caller's order.
    Lengths,
    /// `[T]` sequences still active at step t.
    BatchSizes,
    /// `[T+1]` first packed row of step t; the last entry is N.
    StepOffsets,
    /// `[B]` the caller's index of the j-th longest sequence.
    SortedIndices,
    /// `[B]` its inverse: rank of the caller's sequence b.
    UnsortedIndices,
    /// `[B+1]` first ragged row of the caller's sequence b; the last entry is N.
    CuSeqlens,
    /// `[N]` ragged row of a packed row.
    PackedToRagged,
    /// `[N]` its inverse.
    RaggedToPacked,
}

/// The plan of one mini-batch: create it from upper bounds, set lengths for each mini-batch.
///
/// Setting lengths borrows the batch exclusively (`&mut`); calls that use it share it.
#[derive(Debug)]
pub struct Batch {
    handle: NonNull<sys::varlstm_batch>,
    context: Context,
}

// SAFETY: varlstm.h: a handle in use is immutable and may be shared between threads; what changes
// it takes &mut self.
unsafe impl Send for Batch {}
unsafe impl Sync for Batch {}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: the only owner; the context is alive.
        let status = unsafe { sys::varlstm_batch_destroy(self.handle.as_ptr()) };
        debug_assert_eq!(status, sys::VARLSTM_OK);
    }
}

impl Batch {
    /// An empty batch for at most `max_batch` sequences of at most `max_len` steps, `max_tokens` in
    /// all (at most max_batch * max_len).
    pub fn new(context: &Context, max_batch: usize, max_len: usize, max_tokens: usize) -> Result<Batch> {
        let mut handle = ptr::null_mut();
        let (batch, len) = (dim("max_batch", max_batch)?, dim("max_len", max_len)?);
        let tokens = dim("max_tokens", max_tokens)?;
        // SAFETY: the context is alive, `handle` is written.
        check(unsafe { sys::varlstm_batch_create(context.handle(), batch, len, tokens, &mut handle) })?;
        let handle = NonNull::new(handle).expect("a batch that was created");
        Ok(Batch { handle, context: context.clone() })
    }

    /// A batch of these lengths, with no room for larger ones.
    pub fn from_lengths(context: &Context, lengths: &[i64]) -> Result<Batch> {
        // A negative length counts as 0 here and is an error below.
        let sizes = lengths.iter().map(|&length| usize::try_from(length).unwrap_or(0));
        let max_len = sizes.clone().max().unwrap_or(0);
        let tokens = sizes.fold(0, usize::saturating_add);
        let mut batch = Batch::new(context, lengths.len(), max_len, tokens)?;
        batch.set_lengths(lengths)?;
        Ok(batch)
    }

    /// Sets the lengths `[B]`. Length 0 is legal. A bad one is an error, and the batch stays as it was.
    pub fn set_lengths(&mut self, lengths: &[i64]) -> Result<()> {
        let count = dim("count", lengths.len())?;
        // SAFETY: `lengths` has `count` elements and is read before the call returns.
        check(unsafe {
            sys::varlstm_batch_set_lengths(
                self.handle.as_ptr(),
                lengths.as_ptr(),
                count,
                sys::VARLSTM_SPACE_HOST,
                ptr::null_mut(),
            )
        })
    }

    /// Sets the lengths `[B]` from the back end's memory. A bad one is clamped and raises
    /// [`DeviceStatus::bad_length`](crate::DeviceStatus::bad_length). On CUDA N and T stay unknown
    /// to the host, and packed rows are max_tokens with a tail of zeros.
    pub fn set_lengths_in_backend<'a>(&mut self, lengths: impl Into<View<'a, i64>>) -> Result<()> {
        let lengths = lengths.into();
        let count = dim("count", lengths.len())?;
        let data = lengths.read(&self.context, "lengths", &[("count", lengths.len())])?;
        // SAFETY: `data` has `count` elements; what writes them later comes later in the stream.
        check(unsafe {
            sys::varlstm_batch_set_lengths(
                self.handle.as_ptr(),
                data.cast(),
                count,
                sys::VARLSTM_SPACE_BACKEND,
                ptr::null_mut(),
            )
        })
    }

    /// The same from a PackedSequence's fields: `batch_sizes` `[T]` (positive, not increasing),
    /// `sorted_indices` of `batch_sizes[0]` elements; the identity without it.
    pub fn set_batch_sizes(&mut self, batch_sizes: &[i64], sorted_indices: Option<&[i64]>) -> Result<()> {
        let steps = dim("steps", batch_sizes.len())?;
        let sequences = batch_sizes.first().map_or(0, |&size| usize::try_from(size).unwrap_or(0));
        if let Some(indices) = sorted_indices.filter(|indices| indices.len() != sequences) {
            let (count, size) = (indices.len(), sequences);
            let text = format!("sorted_indices has {} elements, batch_sizes[0] = {}", count, size);
            return Err(Error::invalid(text));
        }
        let indices = sorted_indices.map_or(ptr::null(), <[i64]>::as_ptr);
        // SAFETY: both have the elements that varlstm.h asks for and are read before the call returns.
        check(unsafe {
            sys::varlstm_batch_from_batch_sizes(
                self.handle.as_ptr(),
                batch_sizes.as_ptr(),
                steps,
                indices,
                ptr::null_mut(),
            )
        })
    }

    /// B, sequences in the batch.
    pub fn sequences(&self) -> Result<usize> {
        self.get(sys::VARLSTM_KEY_BATCH)
    }

    /// N, the sum of the lengths. Unsupported on CUDA if only the device knows the lengths.
    pub fn tokens(&self) -> Result<usize> {
        self.get(sys::VARLSTM_KEY_TOKENS)
    }

    /// T, the longest length. Unsupported in the same case.
    pub fn steps(&self) -> Result<usize> {
        self.get(sys::VARLSTM_KEY_STEPS)
    }

    /// The rows of packed buffers: N, or max_tokens if only the device knows N.
    pub fn rows(&self) -> Result<usize> {
        match self.tokens() {
            Err(error) if error.status() == Status::Unsupported => self.get(sys::VARLSTM_KEY_MAX_TOKENS),
            tokens => tokens,
        }
    }

    /// An index array, in the back end's memory; [`Context::read`] copies it.
    pub fn array(&self, array: BatchArray) -> Result<View<'_, i64>> {
        let code = match array {
            BatchArray::Lengths => sys::VARLSTM_BATCH_LENGTHS,
            BatchArray::BatchSizes => sys::VARLSTM_BATCH_BATCH_SIZES,
            BatchArray::StepOffsets => sys::VARLSTM_BATCH_STEP_OFFSETS,
            BatchArray::SortedIndices => sys::VARLSTM_BATCH_SORTED_INDICES,
            BatchArray::UnsortedIndices => sys::VARLSTM_BATCH_UNSORTED_INDICES,
            BatchArray::CuSeqlens => sys::VARLSTM_BATCH_CU_SEQLENS,
            BatchArray::PackedToRagged => sys::VARLSTM_BATCH_PACKED_TO_RAGGED,
            BatchArray::RaggedToPacked => sys::VARLSTM_BATCH_RAGGED_TO_PACKED,
        };
        let (mut data, mut count) = (ptr::null(), 0);
        // SAFETY: the handle is alive, both outputs are written.
        check(unsafe { sys::varlstm_batch_get_array(self.handle(), code, &mut data, &mut count) })?;
        // SAFETY: valid until lengths are set, which needs &mut self, or destroy.
        Ok(unsafe { View::new(data, count as usize, self.context.place()) })
    }

    pub(crate) fn handle(&self) -> *const sys::varlstm_batch {
        self.handle.as_ptr()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn bounds(&self) -> Result<(i64, i64, i64)> {
        let bound = |key| self.get(key).map(|value| value as i64);
        Ok((bound(sys::VARLSTM_KEY_MAX_BATCH)?, bound(sys::VARLSTM_KEY_MAX_LEN)?, bound(sys::VARLSTM_KEY_MAX_TOKENS)?))
    }

    fn get(&self, key: i32) -> Result<usize> {
        let mut value = 0;
        // SAFETY: the handle is alive, `value` is written.
        check(unsafe { sys::varlstm_batch_get_i64(self.handle(), key, &mut value) })?;
        Ok(value as usize)
    }
}

/// Rows that an operation works on: a number of them, or those of a batch.
///
/// Where only the device knows a batch's lengths, the rows beyond N give zeros.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// That many.
    Count(usize),
    /// The packed rows of the batch.
    Of(&'a Batch),
}

impl From<usize> for Rows<'_> {
    fn from(count: usize) -> Self {
        Rows::Count(count)
    }
}

impl<'a> From<&'a Batch> for Rows<'a> {
    fn from(batch: &'a Batch) -> Self {
        Rows::Of(batch)
    }
}

impl Rows<'_> {
    pub(crate) fn count(self) -> Result<usize> {
        match self {
            Rows::Count(count) => Ok(count),
            Rows::Of(batch) => batch.rows(),
        }
    }

    pub(crate) fn batch(self) -> *const sys::varlstm_batch {
        match self {
            Rows::Count(_) => ptr::null(),
            Rows::Of(batch) => batch.handle(),
        }
    }
}
