//! `NOTIFICATION_DATA` (virtio 1.3 §2.9, §4.1.5.2): what a driver writes to notify a device.

/// A driver's notification, with what it has made available.
///
/// It spares a device nothing that is checked when entries are taken: it may be used as a hint, and is
/// not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationData {
    /// The queue.
    pub queue: u16,
    /// Split ring: the available index. Packed ring: in bits 0–14 the next descriptor that the driver makes
    /// available, in bit 15 its wrap counter.
    pub next: u16,
}

impl NotificationData {
    /// From the 32 bits that were written (little-endian in memory).
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        let [q0, q1, n0, n1] = bits.to_le_bytes();
        Self { queue: u16::from_le_bytes([q0, q1]), next: u16::from_le_bytes([n0, n1]) }
    }

    /// The 32 bits that a driver writes.
    #[must_use]
    pub fn to_bits(self) -> u32 {
        u32::from(self.queue) | u32::from(self.next) << 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_queue_and_a_place() {
        let data = NotificationData { queue: 3, next: 0x8005 };
        assert_eq!(data.to_bits(), 0x8005_0003);
        assert_eq!(NotificationData::from_bits(0x8005_0003), data);
    }
}
