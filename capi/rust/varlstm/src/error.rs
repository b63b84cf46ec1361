//! Errors: a status and the text that names the argument and the value.
// SPDX-License-Identifier: Apache-2.0

use std::ffi::CStr;
use std::fmt;

use varlstm_sys as sys;

/// What went wrong, as `varlstm_status` in varlstm.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// A value, a length or a combination that is not allowed.
    InvalidArgument,
    /// Legal, but not on this back end or not in this build.
    Unsupported,
    /// The back end has no memory left.
    OutOfMemory,
    /// A reserve that no forward filled.
    BufferTooSmall,
    /// A handle that the library does not know.
    InvalidHandle,
    /// A call of the back end's runtime failed.
    Backend,
    /// An earlier error of the device killed the context.
    DeadContext,
    /// A defect of the library.
    Internal,
    /// A status that this version of the crate does not know.
    Unknown(i32),
}

impl Status {
    fn from_code(code: i32) -> Status {
        match code {
            sys::VARLSTM_ERROR_INVALID_ARGUMENT => Status::InvalidArgument,
            sys::VARLSTM_ERROR_UNSUPPORTED => Status::Unsupported,
            sys::VARLSTM_ERROR_OUT_OF_MEMORY => Status::OutOfMemory,
            sys::VARLSTM_ERROR_BUFFER_TOO_SMALL => Status::BufferTooSmall,
            sys::VARLSTM_ERROR_INVALID_HANDLE => Status::InvalidHandle,
            sys::VARLSTM_ERROR_BACKEND => Status::Backend,
            sys::VARLSTM_ERROR_DEAD_CONTEXT => Status::DeadContext,
            sys::VARLSTM_ERROR_INTERNAL => Status::Internal,
            other => Status::Unknown(other),
        }
    }
}

/// A status and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: String,
}

/// What most functions here return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What kind of error this is.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The text, naming the argument and the value.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn new(status: Status, message: String) -> Error {
        Error { status, message }
    }

    pub(crate) fn invalid(message: String) -> Error {
        Error::new(Status::InvalidArgument, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({:?})", self.message, self.status)
    }
}

impl std::error::Error for Error {}

/// Turns what a function of varlstm.h returned into a `Result`, with this thread's last text.
pub(crate) fn check(code: i32) -> Result<()> {
    if code == sys::VARLSTM_OK {
        return Ok(());
    }
    // SAFETY: the library's text is valid until this thread's next failing call.
    let text = unsafe { CStr::from_ptr(sys::varlstm_last_error()) };
    Err(Error::new(Status::from_code(code), text.to_string_lossy().into_owned()))
}
