//! The embedded guest: drivers and workloads whose whole state is in guest memory and a few registers, as that of a
//! real machine's is. Copying RAM and loading the registers moves it.
//!
//! The guest is cooperative: [`step`] lets it run for a moment, in which each of its drivers looks whether it has
//! something to do. It reaches the world through a [`Board`] only: memory, and registers at physical addresses. All
//! that it remembers is in [`Cell`]s; nothing of a driver is left on the host's heap between two steps.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`ring`] | the driver's side of virtqueues |
//! | [`function`] | a device's registers, on either transport; setting a device up |
//! | [`blk`], [`scsi`], [`net`], [`console`], [`rng`] | drivers with their workloads |
//! | [`storage`] | the workload of all drivers of disks |
//! | [`vsock`], [`input`], [`balloon`] | drivers that do what the host wants, or answers |
//! | [`pages`] | a workload that dirties memory |
//! | [`record`] | numbered, checksummed records: what everything writes, sends and checks |
//! | [`report`] | what the guest has done so far, read from its memory |

pub mod balloon;
pub mod blk;
mod boot;
mod cell;
pub mod console;
mod cpu;
pub mod function;
pub mod input;
pub mod net;
pub mod pages;
pub mod record;
pub mod report;
pub mod ring;
pub mod rng;
pub mod scsi;
mod sleep;
pub mod storage;
pub mod vsock;

use crate::ram::Memory;

pub use boot::{Options, boot};
pub use cell::Cell;
pub use cpu::{Cpu, step};
pub use report::Report;

/// What a guest reaches: its memory, and registers at physical addresses.
pub trait Board {
    /// Its memory.
    fn memory(&self) -> &Memory;

    /// Reads a register of 1, 2, 4 or 8 bytes.
    fn read(&mut self, address: u64, bytes: usize) -> u64;

    /// Writes a register of 1, 2, 4 or 8 bytes.
    fn write(&mut self, address: u64, bytes: usize, value: u64);
}

/// Something that the guest cannot go on from: what a kernel would panic for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An address without memory.
    #[error("no memory at {address:#x}")]
    Memory {
        /// The address.
        address: u64,
    },
    /// A device returned what it was not given.
    #[error("a device returned request {id}, which it did not have")]
    Returned {
        /// The request's id.
        id: u16,
    },
    /// A device does not behave as the specification says.
    #[error("the device in slot {slot}: {what}")]
    Device {
        /// Where it is.
        slot: usize,
        /// What it does.
        what: String,
    },
    /// There is no memory left.
    #[error("the guest has not enough memory: {bytes} bytes are wanted")]
    OutOfMemory {
        /// What was asked for.
        bytes: u64,
    },
}

impl Fault {
    pub(crate) fn at(address: u64) -> Self {
        Self::Memory { address }
    }
}
