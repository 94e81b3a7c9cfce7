//! Virtqueues (virtio 1.3 §2.6 to §2.9): where the parts of a ring lie, and the device's side of one that runs.
//!
//! A queue of a stopped device is a [`QueueState`]: the records that the stream has of it. It is plain, and
//! not trusted. [`RunningQueue::start`] checks it against guest memory and is the one way to a queue that
//! runs; [`RunningQueue::stop`] ends that queue and gives the state back. Nothing saves a queue that runs.
//!
//! ```text
//! QueueState ── start ──► RunningQueue ── attach ──► Attached: pop ► Chain ► push, notifications
//!     ▲                        │                               │  ▲
//!     └───────── stop ─────────┘                               ▼  │ resume
//!                  └── in flight ─────────────────────────► Element (carried by the device)
//! ```
//!
//! The queue owns its indexes and no memory. A device attaches it to guest memory for as long as it has
//! work to do; that finds the ring's parts once, and not for each descriptor.
//!
//! # In flight
//! A [`Chain`] that was popped is the device's until it is pushed. One that cannot be finished before the
//! device stops is handed to `stop`, and comes back as an [`Element`](crate::element::Element) for the
//! device's own state; the destination's device turns it into a chain again with
//! [`RunningQueue::resume`]. `stop` refuses if a chain is missing, so that no request can be forgotten.
//!
//! # Hostile drivers
//! Ring memory is the guest's and may change at any time. What a device can act on is checked when it is
//! read, and only once; what makes no sense is a [`RingError`], after which the queue is broken and does
//! nothing more: the device sets `DEVICE_NEEDS_RESET` (§2.1.2) and waits to be reset.

mod area;
mod attached;
mod chain;
mod cursor;
mod descriptor;
mod error;
mod gather;
mod in_order;
mod io;
mod notification_data;
mod packed;
mod packed_queue;
mod queue;
mod ram;
mod reach;
mod setup;
pub mod split;
mod split_queue;
mod state;
mod stop;

pub use attached::Attached;
pub use chain::Chain;
pub use error::{Part, RingError, StartError};
pub use io::{Reader, Writer};
pub use notification_data::NotificationData;
pub use queue::RunningQueue;
pub use ram::Ram;
pub use state::QueueState;
pub use stop::{NotStopped, Stopped};
