//! The device's side of a split ring (virtio 1.3 §2.7).

use std::sync::atomic::{Ordering, fence};

use vm_memory::GuestMemory;

use super::area::AreaOf;
use super::descriptor::{Descriptor, INDIRECT, NEXT};
use super::error::{RingError, StartError};
use super::gather::{Gather, indirect_table};
use super::setup::View;
use super::split::{FLAGS, INDEX, NO_NOTIFICATION, avail_entry, used_entry};

/// The indexes of a split ring, all counted modulo 2¹⁶.
#[derive(Debug, Clone)]
pub(super) struct SplitQueue {
    /// The next entry of the available ring that the device takes.
    pub(super) last_avail_idx: u16,
    /// The driver's index when it was last read: entries up to it can be taken.
    avail_idx: u16,
    /// The next entry of the used ring that the device fills.
    pub(super) used_idx: u16,
    /// The used index when the driver was last told of it; not known of a queue that has just started.
    signalled_used: Option<u16>,
    /// Up to where `avail_event` asks the driver to notify.
    asked_at: Option<u16>,
}

impl SplitQueue {
    /// Goes on from `last_avail_idx`. The used index is in guest memory only.
    pub(super) fn start<M: GuestMemory>(last_avail_idx: u16, view: &View<'_, M>) -> Result<Self, StartError> {
        let size = view.setup.size;
        let used_idx = view.device.acquire_u16(INDEX)?;
        if last_avail_idx.wrapping_sub(used_idx) > size {
            return Err(StartError::UsedIndex { last_avail_idx, used_idx, size });
        }
        let mut queue = Self {
            last_avail_idx,
            avail_idx: last_avail_idx,
            used_idx,
            signalled_used: None,
            asked_at: None,
        };
        queue.has_available(view)?;
        Ok(queue)
    }

    /// Entries taken and not returned.
    pub(super) fn inuse(&self) -> u16 {
        self.last_avail_idx.wrapping_sub(self.used_idx)
    }

    /// Whether an entry can be taken; looks at the driver's index only if none is known of.
    #[inline]
    pub(super) fn has_available<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<bool, RingError> {
        if self.avail_idx != self.last_avail_idx {
            return Ok(true);
        }
        let avail_idx = view.driver.acquire_u16(INDEX)?;
        let ahead = avail_idx.wrapping_sub(self.last_avail_idx);
        let (last_avail_idx, size) = (self.last_avail_idx, view.setup.size);
        if ahead > size {
            return Err(RingError::AvailIndex { avail_idx, last_avail_idx, size });
        }
        self.avail_idx = avail_idx;
        Ok(ahead != 0)
    }

    /// Takes the next entry, which is there, and collects its chain; gives its first descriptor.
    #[inline]
    pub(super) fn take<M: GuestMemory>(
        &mut self,
        view: &View<'_, M>,
        gather: &mut Gather<'_, M>,
    ) -> Result<u16, RingError> {
        let (inuse, size) = (self.inuse(), view.setup.size);
        if inuse >= size {
            return Err(RingError::TooManyInFlight { inuse, offered: 1, size });
        }
        let entry = avail_entry(usize::from(self.last_avail_idx & (size - 1)));
        let head = view.driver.swap_u16(view.driver.read(entry)?);
        Self::walk(view, head, gather)?;
        self.last_avail_idx = self.last_avail_idx.wrapping_add(1);
        Ok(head)
    }

    /// Collects a chain from its first descriptor; its last may refer to an indirect table (§2.7.5.3.2).
    #[inline]
    fn walk<M: GuestMemory>(
        view: &View<'_, M>,
        head: u16,
        gather: &mut Gather<'_, M>,
    ) -> Result<(), RingError> {
        let Some(indirect) = Self::follow(&view.descriptors, view.setup.size.into(), head, gather)? else {
            return Ok(());
        };
        let (table, limit) = indirect_table(&view.setup, view.reach.memory, indirect)?;
        match Self::follow(&table, limit, 0, gather)? {
            None => Ok(()),
            Some(_) => Err(RingError::IndirectInIndirect),
        }
    }

    /// Follows a chain through a table of `limit` descriptors, up to its end or an indirect descriptor,
    /// which is given. A chain is shorter than a table can be: its buffers end a long loop early.
    #[inline]
    fn follow<M: GuestMemory>(
        table: &AreaOf<'_, M>,
        limit: u32,
        head: u16,
        gather: &mut Gather<'_, M>,
    ) -> Result<Option<Descriptor>, RingError> {
        let mut index = head;
        for _ in 0..limit {
            if u32::from(index) >= limit {
                break;
            }
            let descriptor = Descriptor::split(table, index)?;
            if descriptor.has(INDIRECT) {
                return Ok(Some(descriptor));
            }
            gather.descriptor(descriptor)?;
            if !descriptor.has(NEXT) {
                return Ok(None);
            }
            index = descriptor.link;
        }
        Err(if u32::from(index) < limit {
            RingError::Loop { head, limit }
        } else {
            RingError::DescriptorIndex { index, limit }
        })
    }

    /// Returns an entry to the driver.
    #[inline]
    pub(super) fn put<M: GuestMemory>(
        &mut self,
        view: &View<'_, M>,
        head: u16,
        written: u32,
    ) -> Result<(), RingError> {
        let used = &view.device;
        let entry = used_entry(usize::from(self.used_idx & (view.setup.size - 1)));
        used.write(entry, [used.swap_u32(head.into()), used.swap_u32(written)])?;
        self.used_idx = self.used_idx.wrapping_add(1);
        used.release_u16(INDEX, self.used_idx)
    }

    /// Gives up the last `count` entries that were taken: they can be taken again.
    pub(super) fn rewind(&mut self, count: u16) {
        self.last_avail_idx = self.last_avail_idx.wrapping_sub(count);
    }

    /// Whether the driver waits to be told of what was returned since it was last told (§2.7.7.2).
    pub(super) fn needs_notification<M: GuestMemory>(
        &mut self,
        view: &View<'_, M>,
    ) -> Result<bool, RingError> {
        // The used index must be visible before the driver's wish is read: it may change it just now.
        fence(Ordering::SeqCst);
        let signalled_used = self.signalled_used.replace(self.used_idx);
        if view.setup.notify_on_empty && self.inuse() == 0 && !self.has_available(view)? {
            return Ok(true);
        }
        if !view.setup.event_idx {
            return Ok(view.driver.acquire_u16(FLAGS)? & NO_NOTIFICATION == 0);
        }
        let used_event = view.driver.acquire_u16(avail_entry(view.setup.size.into()))?;
        let returned = |since: u16| self.used_idx.wrapping_sub(since);
        Ok(signalled_used.is_none_or(|signalled| returned(used_event.wrapping_add(1)) < returned(signalled)))
    }

    /// Asks the driver to notify of the next entry; gives whether one has come meanwhile.
    pub(super) fn ask<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<bool, RingError> {
        if view.setup.event_idx {
            view.device.release_u16(used_entry(view.setup.size.into()), self.last_avail_idx)?;
            self.asked_at = Some(self.last_avail_idx);
        } else {
            view.device.release_u16(FLAGS, 0)?;
        }
        // The wish must be visible before the index is read again: the driver does it the other way round.
        fence(Ordering::SeqCst);
        self.has_available(view)
    }

    /// Whether the driver will notify of the next entry, once it was asked to.
    #[inline]
    pub(super) fn is_asked(&self, event_idx: bool) -> bool {
        !event_idx || self.asked_at == Some(self.last_avail_idx)
    }

    /// Tells the driver that it need not notify. With an event index it is enough not to ask.
    pub(super) fn do_not_ask<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<(), RingError> {
        if view.setup.event_idx {
            return Ok(());
        }
        view.device.release_u16(FLAGS, NO_NOTIFICATION)
    }
}
