//! Embedding: rows of a table at token ids.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::batch::Rows;
use crate::context::Context;
use crate::error::{check, Error, Result};
use crate::memory::Workspace;
use crate::view::{dim, View, ViewMut};
use crate::Scalar;

/// The sizes of an embedding's table `[vocabulary, features]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// V, rows of the table.
    pub vocabulary: usize,
    /// Columns of the table.
    pub features: usize,
    /// The row whose gradient stays 0, if there is one.
    pub padding_idx: Option<usize>,
}

impl Embedding {
    /// y `[rows, features]` <- table at ids `[rows]`. An id outside [0, V) gives zeros and raises
    /// [`DeviceStatus::bad_token_id`](crate::DeviceStatus::bad_token_id).
    pub fn forward<'a, T: Scalar>(
        &self,
        context: &Context,
        rows: impl Into<Rows<'a>>,
        table: impl Into<View<'a, T>>,
        ids: impl Into<View<'a, i64>>,
        y: impl Into<ViewMut<'a, T>>,
    ) -> Result<()> {
        let rows = rows.into();
        let count = rows.count()?;
        let table = table.into().read(context, "table", &self.table_shape())?;
        let ids = ids.into().read(context, "ids", &[("rows", count)])?;
        let y = y.into().write(context, "y", &[("rows", count), ("features", self.features)])?;
        let (count, vocab) = (dim("rows", count)?, dim("vocabulary", self.vocabulary)?);
        let features = dim("features", self.features)?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_embedding_forward(
                context.handle(),
                rows.batch(),
                T::DTYPE,
                count,
                vocab,
                features,
                table,
                ids.cast(),
                y,
                ptr::null_mut(),
            )
        })
    }

    /// dtable `[vocabulary, features]` += rows of dy `[rows, features]` at ids `[rows]`, in a fixed order.
    pub fn backward<'a, T: Scalar>(
        &self,
        context: &Context,
        rows: impl Into<Rows<'a>>,
        ids: impl Into<View<'a, i64>>,
        dy: impl Into<View<'a, T>>,
        dtable: impl Into<ViewMut<'a, T>>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let rows = rows.into();
        let count = rows.count()?;
        let padding_idx = match self.padding_idx {
            Some(index) if index >= self.vocabulary => {
                let text = format!("padding_idx = {} is not in the vocabulary of {}", index, self.vocabulary);
                return Err(Error::invalid(text));
            }
            Some(index) => dim("padding_idx", index)?,
            None => -1,
        };
        let ids = ids.into().read(context, "ids", &[("rows", count)])?;
        let dy = dy.into().read(context, "dy", &[("rows", count), ("features", self.features)])?;
        let dtable = dtable.into().write(context, "dtable", &self.table_shape())?;
        let (count, vocab) = (dim("rows", count)?, dim("vocabulary", self.vocabulary)?);
        let features = dim("features", self.features)?;
        let op = sys::VARLSTM_OP_EMBEDDING_BACKWARD;
        let (work, bytes) = workspace.take_for(context, op, T::DTYPE, [count, vocab, features])?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_embedding_backward(
                context.handle(),
                rows.batch(),
                T::DTYPE,
                count,
                vocab,
                features,
                padding_idx,
                ids.cast(),
                dy,
                dtable,
                work,
                bytes,
                ptr::null_mut(),
            )
        })
    }

    fn table_shape(&self) -> [(&'static str, usize); 2] {
        [("vocabulary", self.vocabulary), ("features", self.features)]
    }
}
