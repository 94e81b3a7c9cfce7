//! What a queue's driver has negotiated and set up: it stays as it is while the queue runs.

use vm_memory::{GuestMemory, Permissions};

use super::area::{Area, AreaOf};
use super::descriptor::DESCRIPTOR;
use super::error::{Part, RingError, StartError};
use super::reach::Reach;
use super::state::QueueState;
use super::{packed, split};
use crate::core::{Endianness, Features};

/// Entries a ring can have, and buffers a chain can have in each direction (QEMU: `VIRTQUEUE_MAX_SIZE`).
pub(super) const MAX_SIZE: u16 = 1024;

/// A ring's format, size and place, and the features that change how it is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) size: u16,
    pub(super) endianness: Endianness,
    pub(super) packed: bool,
    pub(super) event_idx: bool,
    pub(super) indirect: bool,
    pub(super) notify_on_empty: bool,
    descriptors: u64,
    driver: u64,
    device: u64,
}

/// A ring within reach: its parts, and the memory that its buffers are in.
#[derive(Debug)]
pub(super) struct View<'m, M: GuestMemory> {
    pub(super) setup: Setup,
    pub(super) reach: Reach<'m, M>,
    pub(super) descriptors: AreaOf<'m, M>,
    pub(super) driver: AreaOf<'m, M>,
    pub(super) device: AreaOf<'m, M>,
}

impl Setup {
    /// Checks size, addresses and alignment (§2.7, §2.8).
    pub(super) fn new(
        state: &QueueState,
        features: Features,
        endianness: Endianness,
    ) -> Result<Self, StartError> {
        let packed = features.has(Features::RING_PACKED);
        let num = state.queue.num;
        let size = u16::try_from(num).ok().filter(|size| (1..=MAX_SIZE).contains(size));
        let size = size.ok_or(StartError::Size { size: num, limit: MAX_SIZE })?;
        let setup = Self {
            size,
            endianness,
            packed,
            event_idx: features.has(Features::EVENT_IDX),
            indirect: features.has(Features::INDIRECT_DESC),
            notify_on_empty: features.has(Features::NOTIFY_ON_EMPTY),
            descriptors: state.queue.desc,
            driver: state.addresses.avail,
            device: state.addresses.used,
        };
        if setup.descriptors == 0 {
            return Err(StartError::NotSetUp);
        }
        if packed && (endianness != Endianness::Little || !features.has(Features::VERSION_1)) {
            return Err(StartError::LegacyPacked);
        }
        if !packed && !size.is_power_of_two() {
            return Err(StartError::SizeNotPowerOfTwo { size });
        }
        let [driver_align, device_align] = if packed { packed::ALIGNMENT } else { split::ALIGNMENT };
        for (part, address, align) in [
            (Part::Descriptors, setup.descriptors, DESCRIPTOR as u64),
            (Part::Driver, setup.driver, driver_align),
            (Part::Device, setup.device, device_align),
        ] {
            if address % align != 0 {
                return Err(StartError::Alignment { part, address, align });
            }
        }
        Ok(setup)
    }

    /// Finds the ring's parts in memory.
    pub(super) fn view<'m, M: GuestMemory>(&self, memory: &'m M) -> Result<View<'m, M>, RingError> {
        let size = usize::from(self.size);
        let event = if self.event_idx { split::EVENT } else { 0 };
        let (descriptors_access, driver_length, device_length, device_access) = if self.packed {
            (Permissions::ReadWrite, packed::EVENT_SUPPRESSION, packed::EVENT_SUPPRESSION, Permissions::Write)
        } else {
            let [driver, device] = [split::avail_entry(size) + event, split::used_entry(size) + event];
            (Permissions::Read, driver, device, Permissions::ReadWrite)
        };
        let find = |part, address, length, access| {
            Area::find(memory, address, length, access, self.endianness).ok_or(RingError::Area {
                part,
                address,
                length,
            })
        };
        Ok(View {
            setup: *self,
            reach: Reach::new(memory),
            descriptors: find(Part::Descriptors, self.descriptors, DESCRIPTOR * size, descriptors_access)?,
            driver: find(Part::Driver, self.driver, driver_length, Permissions::Read)?,
            device: find(Part::Device, self.device, device_length, device_access)?,
        })
    }
}
