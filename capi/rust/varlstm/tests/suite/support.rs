//! What the tests share: the context of the back end under test, buffers, comparisons.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{Context, DeviceBuffer, Element, Error, Real, Status};

pub fn context() -> Context {
    let made = match std::env::var("VARLSTM_TEST_BACKEND").as_deref() {
        Err(_) | Ok("host") => Context::host(),
        Ok("cuda") => Context::cuda(0),
        Ok(other) => panic!("VARLSTM_TEST_BACKEND = {} is neither host nor cuda", other),
    };
    made.expect("a context")
}

pub fn on_cuda() -> bool {
    context().backend() == varlstm::Backend::Cuda
}

/// `f32` or `f64`, made from the golden files' doubles.
pub trait Number: Real {
    fn of(value: f64) -> Self;
    fn double(self) -> f64;
}

impl Number for f32 {
    fn of(value: f64) -> f32 {
        value as f32
    }

    fn double(self) -> f64 {
        self.into()
    }
}

impl Number for f64 {
    fn of(value: f64) -> f64 {
        value
    }

    fn double(self) -> f64 {
        self
    }
}

pub fn upload<T: Element>(context: &Context, values: &[T]) -> DeviceBuffer<T> {
    DeviceBuffer::from_slice(context, values).expect("a buffer")
}

pub fn upload_as<T: Number>(context: &Context, values: &[f64]) -> DeviceBuffer<T> {
    let values: Vec<T> = values.iter().map(|&value| T::of(value)).collect();
    upload(context, &values)
}

/// Elements that a call must overwrite.
pub fn unwritten<T: Number>(context: &Context, len: usize) -> DeviceBuffer<T> {
    upload_as(context, &vec![f64::NAN; len])
}

/// |actual - expected| <= rtol * |expected| + atol for each element; a NaN is never close.
pub fn assert_close<T: Number>(name: &str, actual: &[T], expected: &[f64], (rtol, atol): (f64, f64)) {
    assert_eq!(actual.len(), expected.len(), "elements of {}", name);
    for (k, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let error = (a.double() - e).abs();
        assert!(error <= rtol * e.abs() + atol, "{}[{}] = {:?}, expected {}", name, k, a, e);
    }
}

/// The same of what a buffer holds.
pub fn assert_holds<T: Number>(name: &str, buffer: &DeviceBuffer<T>, expected: &[f64], tolerance: (f64, f64)) {
    assert_close(name, &buffer.to_vec().expect(name), expected, tolerance);
}

/// The error that `result` is, which has that status and a text with these parts.
pub fn assert_error<T>(result: Result<T, Error>, status: Status, parts: &[&str]) {
    let error = result.err().expect("an error");
    assert_eq!(error.status(), status, "{}", error);
    for part in parts {
        assert!(error.message().contains(part), "«{}» is not in «{}»", part, error.message());
    }
}
