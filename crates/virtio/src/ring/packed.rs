//! Packed rings (virtio 1.3 §2.8): one ring of descriptors, and how each side asks for notifications.

/// Alignment of the driver's and of the device's event suppression (§2.8.10).
pub(super) const ALIGNMENT: [u64; 2] = [4, 4];
/// Bytes of an event suppression structure (§2.8.14): a place in the ring, then how it is meant.
pub(super) const EVENT_SUPPRESSION: usize = 4;
/// Offset of the place.
pub(super) const EVENT_PLACE: usize = 0;
/// Offset of the flags.
pub(super) const EVENT_FLAGS: usize = 2;

/// Event flags: notify for each.
pub(super) const ENABLE: u16 = 0;
/// Event flags: do not notify.
pub(super) const DISABLE: u16 = 1;
/// Event flags: notify for the descriptor at the place.
pub(super) const AT_DESCRIPTOR: u16 = 2;

/// Descriptor flag: equals the driver's wrap counter once it is available (§2.8.1).
pub(super) const AVAIL: u16 = 1 << 7;
/// Descriptor flag: equals the device's wrap counter once it is used.
pub(super) const USED: u16 = 1 << 15;

/// Whether flags say that the descriptor is available, in the turn with this wrap counter.
#[inline]
pub(super) fn is_available(flags: u16, wrap: bool) -> bool {
    (flags & AVAIL != 0) == wrap && (flags & USED != 0) != wrap
}
