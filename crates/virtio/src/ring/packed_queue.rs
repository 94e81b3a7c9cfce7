//! The device's side of a packed ring (virtio 1.3 §2.8).

use std::sync::atomic::{Ordering, fence};

use vm_memory::GuestMemory;

use super::cursor::Cursor;
use super::descriptor::{DESCRIPTOR, Descriptor, INDIRECT, NEXT, WRITE};
use super::error::{RingError, StartError};
use super::gather::{Gather, indirect_table};
use super::packed::{AT_DESCRIPTOR, AVAIL, DISABLE, ENABLE, EVENT_FLAGS, EVENT_PLACE, USED, is_available};
use super::setup::View;
use crate::core::PackedQueue as Record;

/// The places of a packed ring.
#[derive(Debug, Clone)]
pub(super) struct PackedQueue {
    /// The next descriptor that the device takes.
    pub(super) avail: Cursor,
    /// The next descriptor that the device returns.
    pub(super) used: Cursor,
    /// Descriptors taken and not returned.
    pub(super) inuse: u16,
    /// Up to where the driver was last told; not known of a queue that has just started.
    signalled_used: Option<Cursor>,
    /// At which descriptor the driver is asked to notify.
    asked_at: Option<Cursor>,
}

/// What was taken from the ring.
pub(super) struct Taken {
    /// The buffer id, which the chain's last descriptor has.
    pub(super) id: u16,
    /// Descriptors of the chain.
    pub(super) ndescs: u16,
}

impl PackedQueue {
    /// Goes on from the places of a record, which must agree with each other.
    pub(super) fn start(record: &Record, size: u16) -> Result<Self, StartError> {
        let avail = Cursor { index: record.last_avail_idx, wrap: record.last_avail_wrap_counter };
        let used = Cursor { index: record.used_idx, wrap: record.used_wrap_counter };
        for Cursor { index, .. } in [avail, used] {
            if index >= size {
                return Err(StartError::PackedIndex { index, size });
            }
        }
        let distance = used.distance(avail, size);
        let inuse = u16::try_from(record.inuse).ok().filter(|&inuse| inuse <= size);
        match inuse {
            Some(inuse) if u32::from(inuse) == distance => {
                Ok(Self { avail, used, inuse, signalled_used: None, asked_at: None })
            }
            _ => Err(StartError::InUse { inuse: record.inuse, distance }),
        }
    }

    /// The record of the places.
    pub(super) fn record(&self) -> Record {
        Record {
            last_avail_idx: self.avail.index,
            last_avail_wrap_counter: self.avail.wrap,
            used_idx: self.used.index,
            used_wrap_counter: self.used.wrap,
            inuse: self.inuse.into(),
        }
    }

    /// Whether the next descriptor is available.
    #[inline]
    pub(super) fn has_available<M: GuestMemory>(&self, view: &View<'_, M>) -> Result<bool, RingError> {
        let descriptor = Descriptor::packed(&view.descriptors, self.avail.index)?;
        Ok(is_available(descriptor.flags, self.avail.wrap))
    }

    /// Takes the next chain and collects it, if there is one.
    #[inline]
    pub(super) fn take<'v, M: GuestMemory>(
        &mut self,
        view: &'v View<'_, M>,
        new_gather: impl FnOnce() -> Gather<'v, M>,
    ) -> Result<Option<(Taken, Gather<'v, M>)>, RingError> {
        let size = view.setup.size;
        let head = Descriptor::packed(&view.descriptors, self.avail.index)?;
        if !is_available(head.flags, self.avail.wrap) {
            return Ok(None);
        }
        let (inuse, room) = (self.inuse, size - self.inuse);
        let too_many = |offered| RingError::TooManyInFlight { inuse, offered, size };
        if room == 0 {
            return Err(too_many(1));
        }
        let mut gather = new_gather();
        let (mut ndescs, mut descriptor, mut at) = (1, head, self.avail);
        if head.has(INDIRECT) {
            Self::walk_table(view, head, &mut gather)?;
        } else {
            gather.descriptor(head)?;
            while descriptor.has(NEXT) {
                if ndescs == room {
                    return Err(too_many(ndescs + 1));
                }
                at = at.advanced(1, size);
                ndescs += 1;
                descriptor = Descriptor::packed(&view.descriptors, at.index)?;
                if descriptor.has(INDIRECT) {
                    return Err(RingError::IndirectLinked);
                }
                gather.descriptor(descriptor)?;
            }
        }
        let id = descriptor.link;
        if id >= size {
            return Err(RingError::BufferId { id, size });
        }
        self.avail = self.avail.advanced(ndescs, size);
        self.inuse += ndescs;
        Ok(Some((Taken { id, ndescs }, gather)))
    }

    /// All of an indirect table, one descriptor after the other (§2.8.7).
    fn walk_table<M: GuestMemory>(
        view: &View<'_, M>,
        table: Descriptor,
        gather: &mut Gather<'_, M>,
    ) -> Result<(), RingError> {
        let (table, count) = indirect_table(&view.setup, view.reach.memory, table)?;
        // The number of buffers ends a table that is too long for its index.
        for index in 0..u16::try_from(count).unwrap_or(u16::MAX) {
            let descriptor = Descriptor::packed_indirect(&table, index)?;
            if descriptor.has(INDIRECT) {
                return Err(RingError::IndirectInIndirect);
            }
            gather.descriptor(descriptor)?;
        }
        Ok(())
    }

    /// Returns a chain to the driver: one descriptor in place of the chain's, which are all free then.
    #[inline]
    pub(super) fn put<M: GuestMemory>(
        &mut self,
        view: &View<'_, M>,
        Taken { id, ndescs }: Taken,
        written: u32,
    ) -> Result<(), RingError> {
        let turn = if self.used.wrap { AVAIL | USED } else { 0 };
        let flags = turn | if written == 0 { 0 } else { WRITE };
        let [l0, l1, l2, l3] = written.to_le_bytes();
        let [i0, i1] = id.to_le_bytes();
        let [f0, f1] = flags.to_le_bytes();
        let at = DESCRIPTOR * usize::from(self.used.index);
        view.descriptors.release_bytes(at + 8, [l0, l1, l2, l3, i0, i1, f0, f1])?;
        let size = view.setup.size;
        // Two places say how far they are apart only if it is less than two turns.
        let is_far = |since: &Cursor| since.distance(self.used, size) + u32::from(ndescs) > size.into();
        self.signalled_used = self.signalled_used.filter(|since| !is_far(since));
        self.used = self.used.advanced(ndescs, size);
        self.inuse -= ndescs;
        Ok(())
    }

    /// Gives up the last `count` descriptors that were taken: they can be taken again.
    pub(super) fn rewind(&mut self, count: u16, size: u16) {
        self.avail = self.avail.rewound(count, size);
        self.inuse -= count;
    }

    /// Whether the driver waits to be told of what was returned since it was last told (§2.8.10).
    pub(super) fn needs_notification<M: GuestMemory>(
        &mut self,
        view: &View<'_, M>,
    ) -> Result<bool, RingError> {
        // What was returned must be visible before the driver's wish is read: it may change it just now.
        fence(Ordering::SeqCst);
        let signalled_used = self.signalled_used.replace(self.used);
        let size = view.setup.size;
        match view.driver.acquire_u16(EVENT_FLAGS)? {
            DISABLE => Ok(false),
            AT_DESCRIPTOR if view.setup.event_idx => {
                let event = Cursor::from_bits(view.driver.acquire_u16(EVENT_PLACE)?);
                Ok(signalled_used.is_none_or(|signalled| {
                    event.index < size
                        && signalled.distance(event, size) < signalled.distance(self.used, size)
                }))
            }
            _ => Ok(true),
        }
    }

    /// Asks the driver to notify of the next descriptor; gives whether one has come meanwhile.
    pub(super) fn ask<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<bool, RingError> {
        if view.setup.event_idx {
            view.device.release_u16(EVENT_PLACE, self.avail.to_bits())?;
            view.device.release_u16(EVENT_FLAGS, AT_DESCRIPTOR)?;
            self.asked_at = Some(self.avail);
        } else {
            view.device.release_u16(EVENT_FLAGS, ENABLE)?;
        }
        // The wish must be visible before the ring is read again: the driver does it the other way round.
        fence(Ordering::SeqCst);
        self.has_available(view)
    }

    /// Whether the driver will notify of the next descriptor, once it was asked to.
    #[inline]
    pub(super) fn is_asked(&self, event_idx: bool) -> bool {
        !event_idx || self.asked_at == Some(self.avail)
    }

    /// Tells the driver that it need not notify.
    pub(super) fn do_not_ask<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<(), RingError> {
        self.asked_at = None;
        view.device.release_u16(EVENT_FLAGS, DISABLE)
    }
}
