//! Devices that run: what a driver reaches through a transport, and what stops into the state of the stream.
//!
//! ```text
//!  driver ──► registers of a transport ──► LiveCore ──────────► LiveDevice, with its backend
//!             (transport::mmio, ::pci)     status, features,    takes chains, returns them
//!             interrupts out               queues, interrupts
//!
//!  stop:    device hands over its chains ► queues stop ► device's state ► core's ► transport's ► VirtioState
//!  resume:  StoppedDevice ► core ► queues start ► device takes its state and its chains up ► kick
//!  finish:  resume, serve all there is, stop; interrupts become part of the VirtioState
//! ```
//!
//! A device that runs has no state that could be read: it is stopped first, and what it stops into is the same
//! [`VirtioState`](crate::VirtioState) that the load and save procedures know. The way back leads through their one
//! door, [`Loaded::accept`](crate::Loaded::accept): so that whatever depends on byte order or features happens when
//! both are known.
//!
//! Nothing here has a thread or waits. A device works when its driver notifies it
//! ([`LiveCore::notify`]) and when its machine asks whether the world outside has something for it
//! ([`LiveCore::poll`]).
//!
//! # To add a device
//! Beside its state in `device/<name>/`, write what runs: [`LiveDevice`], over a trait for its backend if it has
//! one. Requests that cannot be finished at once are kept as chains, and handed over when the device stops.

mod config_space;
mod context;
mod core;
mod device;
mod error;
mod finish;
mod interrupts;
mod queues;
mod resume;
mod stop;
mod transport;

pub use config_space::ConfigSpace;
pub use context::{Context, ServedQueue};
pub use core::LiveCore;
pub use device::{InFlight, LiveDevice, Negotiated};
pub use error::{Breakage, ResumeError, StopError};
pub use finish::FinishError;
pub use interrupts::{Interrupt, Interrupts};
pub use queues::{LiveQueue, Place};
pub use transport::{LiveTransport, Message, Signals, Window};
