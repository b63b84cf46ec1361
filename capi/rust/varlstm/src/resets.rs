//! Resets: where the state inside a sequence begins anew.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::batch::Batch;
use crate::error::{check, Result};
use crate::packing::Layout;
use crate::view::{dim, View};

impl Batch {
    /// Resets the state inside sequences, as at the end of an episode: where a flag is true, the state
    /// before that row is zero, and no gradient flows across. Until lengths are set again.
    ///
    /// `resets` has a flag for each row of the layout: `[B, padded_len]`, `[padded_len, B]` or `[N]`.
    /// The [`Rnn`](crate::Rnn) needs [`RnnBuilder::resets`](crate::RnnBuilder::resets).
    pub fn set_resets(&mut self, layout: Layout, resets: &[bool]) -> Result<()> {
        // SAFETY: a bool is a byte that is 0 or 1; the flags are read before the call returns.
        unsafe { self.call(layout, resets.as_ptr().cast(), resets.len(), sys::VARLSTM_SPACE_HOST) }
    }

    /// Sets the resets from the back end's memory. A value other than 0 and 1 counts as 1 and raises
    /// [`DeviceStatus::bad_reset`](crate::DeviceStatus::bad_reset).
    pub fn set_resets_in_backend<'a>(&mut self, layout: Layout, resets: impl Into<View<'a, u8>>) -> Result<()> {
        let resets = resets.into();
        let count = resets.len();
        let data = resets.read(self.context(), "resets", &[("count", count)])?;
        // SAFETY: `data` has `count` elements; what writes them later comes later in the stream.
        unsafe { self.call(layout, data.cast(), count, sys::VARLSTM_SPACE_BACKEND) }
    }

    /// Takes the resets back.
    pub fn clear_resets(&mut self) -> Result<()> {
        // SAFETY: there are no flags.
        unsafe { self.call(Layout::Ragged, ptr::null(), 0, sys::VARLSTM_SPACE_HOST) }
    }

    /// # Safety
    /// `resets` `[count]` is memory of that space.
    unsafe fn call(&mut self, layout: Layout, resets: *const u8, count: usize, space: i32) -> Result<()> {
        let (layout, padded_len) = layout.code()?;
        let count = dim("count", count)?;
        let stream = ptr::null_mut();
        check(sys::varlstm_batch_set_resets(self.handle() as *mut _, resets, count, layout, padded_len, space, stream))
    }
}
