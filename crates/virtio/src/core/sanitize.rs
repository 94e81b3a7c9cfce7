//! The sanity checks that need the whole state: byte order, features, and the indexes of every ring.
//!
//! Each has the outcome that QEMU gives it: the load fails, or it goes on with a broken device.

use super::common::{Core, VIRTIO_QUEUE_MAX};
use super::endianness::Endianness;
use super::features::Features;
use super::queue::{Queue, Ring, WrapCounters};
use super::status::Status;
use super::subsections::PackedQueue;
use crate::finding::{Finding, Findings};
use crate::memory::{MemoryError, RingMemory};
use crate::ring::split;
use crate::shape::Shape;
use crate::transport::{RingLayout, Transport};

/// Bytes of a descriptor, split or packed (virtio 1.3 §2.7.5, §2.8.13).
const DESCRIPTOR_BYTES: u64 = 16;

impl Core {
    /// The byte order the guest had when it last reset the device (QEMU: `device_endian`): what the
    /// subsection says, else the target's own.
    fn device_endian(&self, default: Endianness, findings: &mut Findings) -> Endianness {
        match self.subsections.device_endian.map(|endian| endian.device_endian) {
            None => default,
            Some(1) => Endianness::Little,
            Some(2) => Endianness::Big,
            Some(found) => {
                findings.add(Finding::DeviceEndian { found });
                default
            }
        }
    }

    /// The byte order of rings and configuration space: little-endian of a modern device, whatever the
    /// guest's is; the guest's of a legacy one.
    pub(crate) fn sanitize_endianness(&self, shape: &Shape, findings: &mut Findings) -> Endianness {
        let device_endian = self.device_endian(shape.default_endianness, findings);
        match self.features().has(Features::VERSION_1) {
            true => Endianness::Little,
            false => device_endian,
        }
    }

    /// The negotiated features: those of the subsections where there are any, else the low ones.
    ///
    /// To be asked for only once the subsections are loaded.
    fn features(&self) -> Features {
        let low = match self.subsections.features_64 {
            Some(features) => Features::from(features.guest_features),
            None => Features::from(self.guest_features),
        };
        let high = self.subsections.features_128.map_or(0, |features| features.guest_features_hi);
        Features(low.0 | u128::from(high) << 64)
    }

    /// The negotiated features, all of which the device must offer.
    pub(crate) fn sanitize_features(&self, shape: &Shape, findings: &mut Findings) -> Features {
        let guest = self.features();
        if let Some(features) = self.subsections.features_64 {
            let [low, in_subsection] = [self.guest_features.into(), features.guest_features & 0xffff_ffff];
            if low != in_subsection {
                findings.add(Finding::FeaturesDisagree {
                    low: self.guest_features,
                    in_subsection: u32::try_from(in_subsection).unwrap_or_default(),
                });
            }
        }
        let unsupported = shape.host_features.map_or(Features(0), |host| guest.without(host));
        if unsupported != Features(0) {
            let names = unsupported.names(shape.device.features);
            findings.add(Finding::Features { guest, unsupported, names });
        }
        guest
    }

    /// States from which a device does not work as it is.
    pub(crate) fn sanitize_status(&self, findings: &mut Findings) {
        if usize::from(self.queue_sel) >= VIRTIO_QUEUE_MAX {
            findings.add(Finding::QueueSelect { found: self.queue_sel, limit: VIRTIO_QUEUE_MAX });
        }
        if self.subsections.broken.is_some_and(|sub| sub.broken) {
            findings.add(Finding::MarkedBroken);
        }
        if self.status.has(Status::DEVICE_NEEDS_RESET) {
            findings.add(Finding::NeedsReset);
        }
        if self.status.has(Status::FAILED) {
            findings.add(Finding::DriverFailed);
        }
    }

    /// Rebuilds each ring from its record, the subsections and guest memory, and checks its indexes.
    pub(crate) fn sanitize_indexes(
        &self,
        transport: &dyn Transport,
        endianness: Endianness,
        features: Features,
        memory: &dyn RingMemory,
        findings: &mut Findings,
    ) -> Vec<Ring> {
        let check = IndexCheck { core: self, endianness, features, memory };
        let rings = self.queues.iter().enumerate();
        rings
            .map(|(index, queue)| check.ring(index, queue, transport.queue_vector(index), findings))
            .collect()
    }
}

struct IndexCheck<'a> {
    core: &'a Core,
    endianness: Endianness,
    features: Features,
    memory: &'a dyn RingMemory,
}

impl IndexCheck<'_> {
    fn ring(&self, index: usize, queue: &Queue, vector: Option<u16>, findings: &mut Findings) -> Ring {
        let subsections = &self.core.subsections;
        // A device writes default sizes only if one differs from the size in use.
        let size_default =
            subsections.ringsize.as_ref().and_then(|sizes| sizes.num_default.get(index).copied());
        let addresses = subsections.virtqueues.as_ref().and_then(|queues| queues.vq.get(index).copied());
        let is_modern = self.features.has(Features::VERSION_1);
        let (avail, used) = match addresses {
            Some(at) if is_modern => (at.avail, at.used),
            _ => split::legacy_addresses(
                queue.desc,
                queue.num,
                queue.align.unwrap_or(RingLayout::LEGACY_ALIGNMENT),
            ),
        };
        let mut ring = Ring {
            index,
            size: queue.num,
            size_default: size_default.unwrap_or(queue.num),
            desc: queue.desc,
            avail,
            used,
            last_avail_idx: queue.last_avail_idx,
            avail_idx: None,
            used_idx: Some(0),
            inuse: Some(0),
            unread: None,
            wrap: None,
            vector,
        };
        self.check_size(&ring, findings);
        if queue.desc == 0 {
            if queue.last_avail_idx != 0 {
                let last_avail_idx = queue.last_avail_idx;
                findings.add(Finding::IndexWithoutRing { queue: index, last_avail_idx });
            }
        } else if let Some(error) = self.unmapped_descriptors(&ring) {
            (ring.used_idx, ring.inuse) = (None, None);
            findings.add(Finding::RingMemory { queue: index, error });
        } else if self.features.has(Features::RING_PACKED) {
            self.packed(&mut ring);
        } else {
            self.split(&mut ring, findings);
        }
        ring
    }

    /// QEMU maps the descriptors when it loads, and breaks a device whose descriptors are not all in memory. What they
    /// hold does not matter yet.
    fn unmapped_descriptors(&self, ring: &Ring) -> Option<MemoryError> {
        let last = DESCRIPTOR_BYTES.saturating_mul(ring.size.into()).saturating_sub(1);
        let unmapped = MemoryError::Unmapped { address: ring.desc };
        let Some(last) = ring.desc.checked_add(last) else { return Some(unmapped) };
        let reads = [ring.desc, last].map(|address| self.memory.read(address, &mut [0]));
        reads.into_iter().filter_map(Result::err).find(|error| matches!(error, MemoryError::Unmapped { .. }))
    }

    fn check_size(&self, ring: &Ring, findings: &mut Findings) {
        let (queue, size) = (ring.index, ring.size);
        if size == 0 || size as usize > VIRTIO_QUEUE_MAX {
            findings.add(Finding::QueueSize { queue, size, limit: VIRTIO_QUEUE_MAX });
        } else if !size.is_power_of_two() && !self.features.has(Features::RING_PACKED) {
            findings.add(Finding::QueueSizeNotPowerOfTwo { queue, size });
        }
    }

    /// A packed ring's indexes are in the stream. QEMU checks none of them.
    fn packed(&self, ring: &mut Ring) {
        let queues = self.core.subsections.packed_virtqueues.as_ref();
        let Some(state) = queues.and_then(|queues| queues.vq.get(ring.index)) else { return };
        let PackedQueue { last_avail_idx, last_avail_wrap_counter, used_idx, used_wrap_counter, inuse } =
            *state;
        ring.last_avail_idx = last_avail_idx;
        ring.used_idx = Some(used_idx);
        ring.inuse = Some(inuse);
        ring.wrap = Some(WrapCounters { avail: last_avail_wrap_counter, used: used_wrap_counter });
    }

    /// A split ring's used index is in guest memory only.
    fn split(&self, ring: &mut Ring, findings: &mut Findings) {
        let queue = ring.index;
        let read = |address| split::index(self.memory, address, self.endianness);
        let (avail_idx, used_idx) = match (read(ring.avail), read(ring.used)) {
            (Ok(avail_idx), Ok(used_idx)) => (avail_idx, used_idx),
            (Err(error), _) | (_, Err(error)) => {
                (ring.used_idx, ring.inuse) = (None, None);
                match error {
                    MemoryError::Unknown { .. } => ring.unread = Some(error),
                    error => findings.add(Finding::RingMemory { queue, error }),
                }
                return;
            }
        };
        let (size, last_avail_idx) = (ring.size, ring.last_avail_idx);
        let is_behind_iommu = self.features.has(Features::ACCESS_PLATFORM);
        if is_behind_iommu && last_avail_idx != 0 && split::is_blank(self.memory, ring) {
            (ring.used_idx, ring.inuse) = (None, None);
            let reason =
                "the ring is all zero though it was used: this stream was reduced without its IOMMU in view";
            ring.unread = Some(MemoryError::Unknown { reason: reason.to_owned() });
            return;
        }
        ring.avail_idx = Some(avail_idx);
        if u32::from(avail_idx.wrapping_sub(last_avail_idx)) > size {
            // The device is broken and its indexes start over, but the load goes on.
            findings.add(Finding::AvailIndex { queue, size, avail_idx, last_avail_idx });
            return;
        }
        let inuse = u32::from(last_avail_idx.wrapping_sub(used_idx));
        ring.used_idx = Some(used_idx);
        ring.inuse = Some(inuse);
        if inuse > size {
            findings.add(Finding::UsedIndex { queue, size, last_avail_idx, used_idx });
        }
    }
}
