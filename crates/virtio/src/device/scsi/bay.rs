//! Disks that come, go and grow while the host runs, and the events that tell of it (virtio 1.3 §5.6.6.3).

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use vm_memory::GuestMemory;

use super::address::ScsiAddress;
use super::live::LiveScsi;
use super::request::Outcome;
use super::sense::Sense;
use super::unit::{LogicalUnit, ScsiDrive};
use super::{EVENTS, feature, response};
use crate::live::{Breakage, ConfigSpace, Context};

/// Bytes of an event.
pub(super) const EVENT_SIZE: u32 = 16;

const TRANSPORT_RESET: u32 = 1;
const RESET_RESCAN: u32 = 1;
const RESET_REMOVED: u32 = 2;
const PARAM_CHANGE: u32 = 3;
/// Events before this one were lost.
const EVENTS_MISSED: u32 = 0x8000_0000;

/// Where disks are put into a running host, and taken out. Clones are of the same host.
#[derive(Debug, Clone, Default)]
pub struct ScsiBay(Arc<Mutex<VecDeque<Change>>>);

#[derive(Debug)]
enum Change {
    In(ScsiAddress, ScsiDrive),
    Out(ScsiAddress),
    Resized(ScsiAddress),
}

impl ScsiBay {
    /// A disk comes; one that is there already is replaced.
    pub fn plug(&self, address: ScsiAddress, drive: ScsiDrive) {
        self.0.lock().push_back(Change::In(address, drive));
    }

    /// A disk goes. The driver is told of its requests that wait.
    pub fn pull(&self, address: ScsiAddress) {
        self.0.lock().push_back(Change::Out(address));
    }

    /// A disk has another size.
    pub fn resized(&self, address: ScsiAddress) {
        self.0.lock().push_back(Change::Resized(address));
    }

    fn next(&self) -> Option<Change> {
        self.0.lock().pop_front()
    }
}

/// An event, as the driver is told it.
#[derive(Debug, Clone, Copy, Default)]
struct Event {
    kind: u32,
    lun: [u8; 8],
    reason: u32,
}

impl LiveScsi {
    /// Does what was done at the bay. Gives whether there was anything.
    pub(super) fn change<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let mut did = false;
        while let Some(change) = self.bay.next() {
            did = true;
            match change {
                Change::In(address, drive) => {
                    self.take_out(address, cx)?;
                    self.units.insert(address, LogicalUnit::new(drive));
                    self.tell_neighbours(address);
                    self.transport_reset(address, RESET_RESCAN, cx)?;
                }
                Change::Out(address) => {
                    if self.take_out(address, cx)? {
                        self.tell_neighbours(address);
                        self.transport_reset(address, RESET_REMOVED, cx)?;
                    }
                }
                Change::Resized(address) => {
                    let Some(unit) = self.units.get_mut(&address) else { continue };
                    let Sense { asc, ascq, .. } = Sense::CAPACITY_CHANGED;
                    unit.attend(Sense::CAPACITY_CHANGED);
                    if cx.has(feature::CHANGE) {
                        let reason = u32::from(u16::from_le_bytes([asc, ascq]));
                        self.tell(Event { kind: PARAM_CHANGE, lun: address.field(), reason }, cx)?;
                    }
                }
            }
        }
        Ok(did)
    }

    /// The driver has given buffers for events: tells it, if some were lost.
    pub(super) fn tell_missed<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        if self.events_missed { self.tell(Event::default(), cx) } else { Ok(()) }
    }

    /// Takes a disk out, if it is there; its requests are told so.
    fn take_out<M: GuestMemory>(
        &mut self,
        address: ScsiAddress,
        cx: &mut Context<'_, M>,
    ) -> Result<bool, Breakage> {
        if self.units.remove(&address).is_none() {
            return Ok(false);
        }
        self.end(
            |request| request.header.address == Some(address),
            Outcome::response(response::BAD_TARGET),
            cx,
        )?;
        Ok(true)
    }

    /// The other disks of a target say that it has others now.
    fn tell_neighbours(&mut self, of: ScsiAddress) {
        for (address, unit) in &mut self.units {
            if address.target == of.target && *address != of {
                unit.attend(Sense::LUNS_CHANGED);
            }
        }
    }

    fn transport_reset<M: GuestMemory>(
        &mut self,
        address: ScsiAddress,
        reason: u32,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        if !cx.has(feature::HOTPLUG) {
            return Ok(());
        }
        self.tell(Event { kind: TRANSPORT_RESET, lun: address.field(), reason }, cx)
    }

    /// Tells the driver of an event. Without a buffer for it the event is lost, and the next one says so.
    fn tell<M: GuestMemory>(&mut self, event: Event, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let endianness = cx.negotiated.endianness;
        self.events_missed = {
            let Some(mut queue) = cx.queue(EVENTS)? else { return Ok(()) };
            match queue.pop()? {
                None => true,
                Some(chain) if chain.writable_len() < EVENT_SIZE.into() => {
                    let message = format!("a buffer for an event has less than {EVENT_SIZE} bytes");
                    return Err(Breakage::Request { queue: EVENTS, message });
                }
                Some(chain) => {
                    let missed = if self.events_missed { EVENTS_MISSED } else { 0 };
                    let bytes = ConfigSpace::new(endianness)
                        .u32(event.kind | missed)
                        .bytes(&event.lun)
                        .u32(event.reason)
                        .into_bytes();
                    queue.answer(chain, &bytes)?;
                    queue.signal()?;
                    false
                }
            }
        };
        Ok(())
    }
}
