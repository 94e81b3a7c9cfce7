//! `IN_ORDER` (virtio 1.3 §2.9): chains go back to the driver in the order in which they were taken.
//!
//! A device may finish them in any order. What is finished too early waits here, and is in flight as far
//! as anybody else can tell.

use std::collections::VecDeque;

use super::chain::Chain;

/// The chains in flight, oldest first.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    id: u16,
    ndescs: u16,
    /// The chain and how many bytes were written to it, once it is finished.
    finished: Option<(Chain, u32)>,
}

impl InOrder {
    /// Notes a chain that was taken.
    pub(super) fn taken(&mut self, id: u16, ndescs: u16) {
        self.slots.push_back(Slot { id, ndescs, finished: None });
    }

    /// Forgets the entries that were taken last; gives false if that would split a chain or lose one that
    /// is finished.
    pub(super) fn rewind(&mut self, mut count: u16) -> bool {
        let mut keep = self.slots.len();
        for slot in self.slots.iter().rev() {
            if count == 0 {
                break;
            }
            let Some(rest) = count.checked_sub(slot.ndescs).filter(|_| slot.finished.is_none()) else {
                return false;
            };
            count = rest;
            keep -= 1;
        }
        self.slots.truncate(keep);
        count == 0
    }

    /// Puts a finished chain into its place.
    pub(super) fn finish(&mut self, chain: Chain, written: u32) {
        let is_its_slot = |slot: &&mut Slot| slot.id == chain.id && slot.finished.is_none();
        if let Some(slot) = self.slots.iter_mut().find(is_its_slot) {
            slot.finished = Some((chain, written));
        }
    }

    /// The oldest chain, if it is finished.
    pub(super) fn next_finished(&mut self) -> Option<(Chain, u32)> {
        let finished = self.slots.front_mut()?.finished.take()?;
        self.slots.pop_front();
        Some(finished)
    }

    /// The chains in flight in their order: those that wait here, and `carried` by the device.
    pub(super) fn merge(self, mut carried: Vec<Chain>) -> Vec<Chain> {
        let mut all = Vec::with_capacity(self.slots.len());
        for slot in self.slots {
            let of_device = || carried.iter().position(|chain| chain.id == slot.id);
            match slot.finished {
                Some((chain, _)) => all.push(chain),
                None => all.extend(of_device().map(|index| carried.remove(index))),
            }
        }
        all
    }

    /// Entries that wait here.
    pub(super) fn waiting(&self) -> u16 {
        self.slots.iter().filter(|slot| slot.finished.is_some()).map(|slot| slot.ndescs).sum()
    }
}
