//! What the registers of all transports have in common: features and addresses in 32-bit halves.

use crate::core::Features;

/// Features 0–31, 32–63, and so on.
pub(super) fn half(features: Features, select: u32) -> u32 {
    let shifted = features.0.checked_shr(select.saturating_mul(32)).unwrap_or_default();
    u32::try_from(shifted & 0xffff_ffff).unwrap_or_default()
}

/// Writes the half that is selected, if there is such a half.
pub(super) fn set_half(halves: &mut [u32; 2], select: u32, value: u32) {
    if let Some(half) = usize::try_from(select).ok().and_then(|select| halves.get_mut(select)) {
        *half = value;
    }
}

/// A 64-bit value from its halves, low one first.
pub(super) fn wide([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Fills `data` from a register of at most four bytes, little-endian.
pub(super) fn fill(data: &mut [u8], value: u32) {
    let bytes = value.to_le_bytes().into_iter().chain(std::iter::repeat(0));
    data.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
}
