//! The common configuration of a running device (virtio 1.3 §4.1.4.3).

use vm_memory::GuestMemory;

use super::live::LivePci;
use super::modern::PciQueue;
use super::{NO_VECTOR, PciModernState};
use crate::core::{Features, Status};
use crate::live::{LiveQueue, Place};
use crate::transport::registers::{half, set_half, wide};

const DEVICE_FEATURE_SELECT: u64 = 0x00;
const DEVICE_FEATURE: u64 = 0x04;
const DRIVER_FEATURE_SELECT: u64 = 0x08;
const DRIVER_FEATURE: u64 = 0x0c;
const CONFIG_MSIX_VECTOR: u64 = 0x10;
const NUM_QUEUES: u64 = 0x12;
const DEVICE_STATUS: u64 = 0x14;
const CONFIG_GENERATION: u64 = 0x15;
const QUEUE_SELECT: u64 = 0x16;
const QUEUE_SIZE: u64 = 0x18;
const QUEUE_MSIX_VECTOR: u64 = 0x1a;
const QUEUE_ENABLE: u64 = 0x1c;
const QUEUE_NOTIFY_OFF: u64 = 0x1e;
const QUEUE_DESC: u64 = 0x20;
const QUEUE_DESC_HIGH: u64 = 0x24;
const QUEUE_DRIVER: u64 = 0x28;
const QUEUE_DRIVER_HIGH: u64 = 0x2c;
const QUEUE_DEVICE: u64 = 0x30;
const QUEUE_DEVICE_HIGH: u64 = 0x34;
const QUEUE_RESET: u64 = 0x3a;

impl<M: GuestMemory + Send> LivePci<M> {
    pub(super) fn read_common(&self, offset: u64) -> u32 {
        let index = usize::from(self.core.queue_sel());
        let queue = self.core.queues().get(index);
        let written = self.modern.vqs.get(index).copied().unwrap_or_default();
        match offset {
            DEVICE_FEATURE_SELECT => self.modern.dfselect,
            DEVICE_FEATURE => half(self.core.offered(), self.modern.dfselect),
            DRIVER_FEATURE_SELECT => self.modern.gfselect,
            DRIVER_FEATURE => half(self.written_features(), self.modern.gfselect),
            CONFIG_MSIX_VECTOR => self.msix.as_ref().map_or(NO_VECTOR, |msix| msix.config_vector).into(),
            NUM_QUEUES => u32::try_from(self.core.queues().len()).unwrap_or_default(),
            DEVICE_STATUS => self.core.status().0.into(),
            CONFIG_GENERATION => self.core.config_generation().into(),
            QUEUE_SELECT => self.core.queue_sel().into(),
            QUEUE_SIZE => queue.map_or(0, LiveQueue::size),
            QUEUE_MSIX_VECTOR => self.queue_vector(index).into(),
            QUEUE_ENABLE => written.enabled.into(),
            QUEUE_NOTIFY_OFF => self.core.queue_sel().into(),
            QUEUE_DESC => written.desc[0],
            QUEUE_DESC_HIGH => written.desc[1],
            QUEUE_DRIVER => written.avail[0],
            QUEUE_DRIVER_HIGH => written.avail[1],
            QUEUE_DEVICE => written.used[0],
            QUEUE_DEVICE_HIGH => written.used[1],
            _ => 0,
        }
    }

    pub(super) fn write_common(&mut self, offset: u64, value: u32) {
        let low = u16::try_from(value & 0xffff).unwrap_or_default();
        match offset {
            DEVICE_FEATURE_SELECT => self.modern.dfselect = value,
            DRIVER_FEATURE_SELECT => self.modern.gfselect = value,
            DRIVER_FEATURE => self.write_features(value),
            CONFIG_MSIX_VECTOR => {
                if let Some(msix) = &mut self.msix {
                    msix.config_vector = if usize::from(low) < msix.table.len() { low } else { NO_VECTOR };
                }
            }
            DEVICE_STATUS => self.write_status(low.to_le_bytes()[0]),
            QUEUE_SELECT => self.core.select_queue(low),
            QUEUE_MSIX_VECTOR => {
                let index = usize::from(self.core.queue_sel());
                if let Some(msix) = &mut self.msix
                    && let Some(vector) = msix.queue_vectors.get_mut(index)
                {
                    *vector = if usize::from(low) < msix.table.len() { low } else { NO_VECTOR };
                }
            }
            _ => self.write_queue(offset, value, low),
        }
    }

    fn write_queue(&mut self, offset: u64, value: u32, low: u16) {
        let index = usize::from(self.core.queue_sel());
        if index >= self.core.queues().len() {
            return;
        }
        let mut queue = self.modern.vqs.get(index).copied().unwrap_or_default();
        match offset {
            QUEUE_SIZE => {
                queue.num = low;
                self.core.set_queue_size(index, low);
            }
            QUEUE_DESC => queue.desc[0] = value,
            QUEUE_DESC_HIGH => queue.desc[1] = value,
            QUEUE_DRIVER => queue.avail[0] = value,
            QUEUE_DRIVER_HIGH => queue.avail[1] = value,
            QUEUE_DEVICE => queue.used[0] = value,
            QUEUE_DEVICE_HIGH => queue.used[1] = value,
            // A driver enables a queue, and never takes that back.
            QUEUE_ENABLE if low == 1 => {
                queue.enabled = true;
                let [desc, avail, used] = [queue.desc, queue.avail, queue.used].map(wide);
                self.core.enable_queue(index, Place { desc, avail, used });
            }
            QUEUE_RESET if low == 1 => {
                queue = PciQueue::default();
                self.core.reset_queue(index);
            }
            _ => return,
        }
        self.modern.vqs.set(index, queue);
    }

    /// The features as the driver wrote them.
    fn written_features(&self) -> Features {
        let upper = self.modern.features128.map_or([0; 2], |upper| upper.guest_features);
        let [a, b] = self.modern.guest_features;
        let words = [a, b, upper[0], upper[1]].map(u128::from);
        Features(words.iter().rev().fold(0, |all, word| all << 32 | word))
    }

    fn write_features(&mut self, value: u32) {
        let select = self.modern.gfselect;
        let is_upper_known = self.core.offered().0 >> 64 != 0;
        match select {
            0 | 1 => set_half(&mut self.modern.guest_features, select, value),
            2 | 3 if is_upper_known => {
                let upper =
                    self.modern.features128.get_or_insert(super::UpperFeatures { guest_features: [0; 2] });
                set_half(&mut upper.guest_features, select - 2, value);
            }
            _ => {}
        }
    }

    fn write_status(&mut self, status: u8) {
        if status == 0 {
            self.modern = PciModernState::default();
            self.reset_vectors();
        }
        let agrees = Status(status).has(Status::FEATURES_OK) && !self.core.status().has(Status::FEATURES_OK);
        if agrees {
            self.core.agree(self.written_features(), status);
        } else {
            self.core.set_status(status);
        }
    }
}
