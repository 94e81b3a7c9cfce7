//! Rings that run: nothing is lost, nothing is done twice, whatever the driver does and wherever the
//! device stops.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

#[path = "../common/mod.rs"]
mod common;
mod driver;
mod hostile;
mod io;
mod notify;
mod recorded;
mod saved;
mod sequence;
mod stopping;
