//! Serving what a stopped block device still had to do, while its guest is between two machines.

use vm_memory::GuestMemory;

use super::tally::Served;
use super::{Blk, BlkOptions, ErrorPolicy, LiveBlk, UNSERVED};
use crate::core::Features;
use crate::device::Device;
use crate::device::disk::Disk;
use crate::live::{FinishError, LiveCore};
use crate::loaded::{Loaded, VirtioState};
use crate::shape::Shape;

/// Serves all that a stopped block device had in flight, and all that its driver has made available since, with
/// `disk` and in `memory`, which is the guest's. Gives the device's state as it is then, and what was served. What only
/// the device itself can answer stays in flight.
///
/// The driver has to be told. Where the transport keeps no interrupt (MSI-X, unless masked; channel I/O), the last
/// request of each queue is done, and stays in flight all the same: whoever loads the device does it again, which changes
/// nothing, returns it, and interrupts.
///
/// What was written is in the disk when this returns; [`Disk::flush`] makes it last.
///
/// # Errors
/// If the disk is another one or fails, the driver's requests make no sense, or the device cannot be taken up here.
/// Guest memory may be half changed then, and some of the requests are done: they can be served again.
pub fn finish<M: GuestMemory>(
    loaded: Loaded,
    shape: Shape,
    disk: Box<dyn Disk>,
    memory: M,
) -> Result<(VirtioState, Served), FinishError> {
    let (found, expected) = (loaded.state.device.device_type(), const { &Blk::TYPE });
    if found.section != expected.section {
        return Err(FinishError::NotSo(format!("it is a {}, expected a {}", found.title, expected.title)));
    }
    if let Some((_, name)) = UNSERVED.iter().find(|(bit, _)| loaded.features.has(*bit)) {
        return Err(FinishError::NotSo(format!(
            "its driver has negotiated {name}, which is not served here"
        )));
    }
    let capacity = loaded.state.core.config.first_chunk().map(|bytes| loaded.endianness.u64(*bytes));
    if capacity != Some(disk.sectors()) {
        return Err(FinishError::NotSo(format!(
            "its disk has {} sectors of 512 bytes, the one that was given has {}",
            capacity.unwrap_or_default(),
            disk.sectors()
        )));
    }
    let queues = loaded.state.core.queues.len();
    let mut transport = loaded.state.transport.clone();
    let repeats_last = (0..queues).filter(|&queue| !transport.as_dyn_mut().keep_interrupt(queue)).collect();
    let options = BlkOptions {
        queues: u16::try_from(queues).unwrap_or(u16::MAX),
        on_error: ErrorPolicy::Stop,
        stands_in: true,
        repeats_last,
        switches: shape.switches,
        ..BlkOptions::default()
    };
    let device = LiveBlk::new(disk, options);
    let tally = device.tally();
    let (reserved, endianness) = (Features(loaded.features.0), loaded.endianness);
    let state = LiveCore::new(Box::new(device), memory, reserved, endianness).finish(loaded.accept()?)?;
    let served = tally.so_far();
    match served.failed {
        Some(why) => Err(FinishError::Backend(why)),
        None => Ok((state, served)),
    }
}
