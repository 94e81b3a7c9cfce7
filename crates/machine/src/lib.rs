//! A small machine: guest memory, a bus, live virtio devices, and an embedded guest that works them hard.
//!
//! It exists so that a live migration of virtio devices can be watched, broken and judged with nothing but this
//! library: two of these machines speak QEMU's stream to each other, and every part of it (virtio core, transport,
//! device) is the same as of a stream between two QEMUs.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`ram`] | guest memory, with a bit for each page that was written |
//! | [`held`] | the same of a guest that is held on its way |
//! | [`map`] | where things are in physical address space |
//! | [`bus`], [`pic`] | devices in slots, and the interrupt controller |
//! | [`guest`] | the embedded guest: drivers and workloads |
//! | [`machine`] | all of it put together: run, stop, save, load |
//! | [`kit`] | a machine with one of each device, in a world of disk, network, console, and whoever types |
//! | [`proof`] | whether what the world saw is what the guest did |
//! | [`host`] | a machine that runs in a thread, leaves, and arrives |
#![deny(unsafe_code)]

pub mod bus;
pub mod guest;
pub mod held;
pub mod host;
pub mod kit;
pub mod machine;
pub mod map;
pub mod pic;
mod postcopy;
pub mod proof;
pub mod ram;
mod sections;
mod userfault;

pub use bus::Bus;
pub use held::HeldRam;
pub use host::Host;
pub use kit::{Kit, World};
pub use machine::Machine;
pub use proof::Proof;
pub use ram::{Memory, Ram};
