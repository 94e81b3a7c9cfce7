//! An end of a live migration: a guest arrives from a running QEMU, and goes on to another.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`channel`] | what a migration goes through, named as QEMU names it, with TLS |
//! | [`incoming`] | a stream as it arrives |
//! | [`outgoing`] | a stream on its way out |
//! | [`multifd`] | pages over channels of their own |
//! | [`return_path`] | what the destination answers |
//! | [`keep`] | keeping what arrives |
//! | [`receive`], [`send`], [`hold`], [`pass`] | the whole of it: into a file, from a file, through memory, straight through |
//! | [`guest`], [`depart`], [`arrive`] | a guest that runs in this process leaves it, or comes into it |
//! | [`event`], [`error`] | what happens, and what goes wrong |
//!
//! # Who has the guest
//! The source, until the destination has acknowledged. Whatever fails before, the source is told or its
//! channel is closed, and it goes on running the guest; a destination starts a guest only when all of it has
//! come. So nothing here ever sends the last of a stream before it has been checked, nor an acknowledgement
//! before there is one.
//!
//! By post-copy a guest that runs in this process is handed over earlier, when all but its RAM is there: [`depart`] says
//! from when on a failure leaves it at neither side.
#![deny(unsafe_code)]

mod arrive;
pub mod channel;
mod clock;
pub mod count;
mod depart;
pub mod error;
pub mod event;
pub mod guest;
pub mod hold;
pub mod incoming;
pub mod judge;
pub mod keep;
pub mod multifd;
pub mod outgoing;
pub mod pass;
pub mod peer;
pub mod ram;
pub mod receive;
pub mod return_path;
pub mod send;
mod take;
mod wire;

pub use arrive::arrive;
pub use depart::depart;
pub use error::{Cause, Error};
