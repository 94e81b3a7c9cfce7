//! QEMU's migration stream: how bytes become fields, sections and streams, and back.
//!
//! This crate knows no virtio. It has three floors, each built on the one before:
//!
//! | floor | modules | what it gives |
//! | --- | --- | --- |
//! | fields | [`reader`], [`writer`], [`field`], [`types`], [`description`], [`state`] | one description of a struct, and its load and save |
//! | description | [`vmdesc`], [`value`] | the JSON description a stream carries, and the decoder it drives |
//! | stream | [`stream`], [`ram`], [`source`] | header, sections, commands, RAM, and where each byte lies |
//!
//! # To describe a device's state
//! 1. Write a struct of [`field::Field`]s in wire order and derive [`VmState`].
//! 2. A subsection is an `Option<T>` field marked `#[vmstate(subsection)]`: `Some` is "needed".
//! 3. Load it with [`VmState::load_body`], save it with [`VmState::save_body`]; its schema is
//!    [`Described::DESCRIPTION`].
//!
//! All integers in the stream are big-endian. Nothing that is read is trusted: no allocation is
//! larger than the input that backs it, and every failure is an [`Error`] that says where.
#![forbid(unsafe_code)]

// The derive names this crate by its public name, here too.
extern crate self as vmstate;

pub mod description;
pub mod error;
pub mod field;
pub mod ram;
pub mod reader;
pub mod source;
pub mod state;
pub mod stream;
pub mod types;
pub mod value;
pub mod vmdesc;
pub mod writer;

pub use description::{Described, Description, Type, Typed};
pub use error::{Code, Error, ErrorKind, Result};
pub use field::Field;
pub use reader::Reader;
pub use state::VmState;
pub use vmstate_derive::VmState;
pub use writer::Writer;
