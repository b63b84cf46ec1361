//! What `varlstm.h` declares, one to one; that header is the documentation. The crate `varlstm` is
//! the safe layer over it.
// SPDX-License-Identifier: Apache-2.0
#![allow(non_camel_case_types)]

mod declarations;

pub use declarations::*;
