//! SCSI host device as it runs (virtio 1.3 §5.6), with disks as its logical units.
//!
//! The state of the host is in core and transport alone ([`Scsi`](super::no_state::Scsi)). Each disk has a section of
//! its own, with its requests in flight: [`ScsiDisk`](crate::companion::ScsiDisk).
//!
//! ```text
//!  chain ─► request   header, response
//!           line      requests stand in line, or are done at once
//!           command   what the CDB asks for
//!           outcome   what becomes of it
//!           unit      one disk: answer, inquiry, mode (what it says of itself), blocks (what it does)
//!  control, bay       tasks are aborted, disks come and go
//!  carry              into the sections of the disks, and back
//! ```

mod address;
mod answer;
mod bay;
mod blocks;
mod carry;
mod command;
mod control;
mod inquiry;
mod line;
mod live;
mod mode;
mod outcome;
mod request;
mod sense;
mod unit;

pub use address::{InvalidAddress, ScsiAddress};
pub use bay::ScsiBay;
pub use live::{LiveScsi, ScsiOptions};
pub use unit::ScsiDrive;

/// The queues (§5.6.2).
const CONTROL: usize = 0;
const EVENTS: usize = 1;
/// The first request queue.
const REQUESTS: usize = 2;

/// Features that the running device knows (§5.6.3).
pub(super) mod feature {
    pub(in super::super) const HOTPLUG: u8 = 1;
    pub(in super::super) const CHANGE: u8 = 2;
}

/// What the driver is told of a request or a task (§5.6.6.1, §5.6.6.2).
mod response {
    pub(super) const OK: u8 = 0;
    pub(super) const OVERRUN: u8 = 1;
    pub(super) const ABORTED: u8 = 2;
    pub(super) const BAD_TARGET: u8 = 3;
    pub(super) const RESET: u8 = 4;
    pub(super) const FAILURE: u8 = 9;
    pub(super) const FUNCTION_SUCCEEDED: u8 = 10;
    pub(super) const FUNCTION_REJECTED: u8 = 11;
    pub(super) const INCORRECT_LUN: u8 = 12;
}
