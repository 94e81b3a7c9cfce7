//! The state of virtio devices in a migration stream: how it is spread, saved and loaded.
//!
//! ```text
//!             virtio core                 virtio transport            virtio device
//! save        save()                      save_config()
//!               common device fields
//!               common virtqueue fields   save_queue(i)
//!                                                                     save_device()
//!               subsections  ──────────►  (extra state)               (device subsections)
//! load        load()                      load_config()
//!               common device fields
//!               common virtqueue fields   load_queue(i)
//!               notify guest
//!                                                                     load_device()
//!               subsections  ──────────►  load_extra_state()
//!               sanitize endianness
//!               sanitize features
//!               virtqueue index sanity
//!                                                                     post_load()
//! ```
//!
//! [`load`](load::load) and [`save`](save::save) are the two procedures; the state of core, transport and
//! device are in the modules of these names. State is plain and not trusted: it can be read, shown and
//! written back whatever it says. [`Loaded::accept`] is the one door to a device that may run.
#![forbid(unsafe_code)]

mod address;
pub mod companion;
pub mod core;
pub mod device;
pub mod element;
pub mod finding;
pub mod guest;
pub mod iommu;
pub mod json;
pub mod live;
pub mod load;
pub mod loaded;
pub mod memory;
pub mod ring;
pub mod save;
pub mod section;
pub mod shape;
mod trace;
pub mod transport;

/// The target of events that tell of the steps of the save and load procedures ([`tracing`]).
pub const PROCEDURE: &str = "virtio::procedure";

pub use finding::{Finding, Findings, Severity};
pub use json::JsonError;
pub use load::load;
pub use loaded::{Loaded, Refused, StoppedDevice, VirtioState};
pub use save::save;
pub use shape::Shape;
