//! INQUIRY: what a disk is, and what it can do (SPC-4 §6.6, §7.8; SBC-3 §6.6).

use super::blocks::{MOST_SEGMENTS, MOST_UNMAPPED};
use super::sense::Sense;

/// What the vendor is called, in 8 bytes.
const VENDOR: &[u8; 8] = b"vmig    ";
const PRODUCT: &[u8; 16] = b"virtual disk    ";
const REVISION: &[u8; 4] = b"1.0 ";

/// Pages of vital product data.
mod page {
    pub(super) const SUPPORTED: u8 = 0;
    pub(super) const SERIAL: u8 = 0x80;
    pub(super) const IDENTIFICATION: u8 = 0x83;
    pub(super) const BLOCK_LIMITS: u8 = 0xb0;
    pub(super) const CHARACTERISTICS: u8 = 0xb1;
    pub(super) const PROVISIONING: u8 = 0xb2;
    pub(super) const ALL: [u8; 6] =
        [SUPPORTED, SERIAL, IDENTIFICATION, BLOCK_LIMITS, CHARACTERISTICS, PROVISIONING];
}

/// Whether a disk is where an INQUIRY asks for one: peripheral qualifier and device type.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Peripheral {
    Disk = 0,
    /// The target could have none there.
    Absent = 0x7f,
}

/// The standard data (SPC-4 §6.6.2).
pub(super) fn standard(peripheral: Peripheral) -> Vec<u8> {
    // SPC-4, not removable, addresses in a hierarchy, response format 2, 31 bytes follow, commands are queued.
    let head = [peripheral as u8, 0, 6, 0x12, 31, 0, 0, 2];
    [head.as_slice(), VENDOR, PRODUCT, REVISION].concat()
}

/// A page of vital product data.
pub(super) fn vital(page: u8, serial: &str) -> Result<Vec<u8>, Sense> {
    let content = match page {
        page::SUPPORTED => page::ALL.to_vec(),
        page::SERIAL => serial.as_bytes().to_vec(),
        page::IDENTIFICATION => {
            // Of the logical unit, in ASCII, by vendor (SPC-4 §7.8.5).
            let name = [VENDOR, serial.as_bytes()].concat();
            [&[2, 1, 0, u8::try_from(name.len()).unwrap_or_default()], name.as_slice()].concat()
        }
        page::BLOCK_LIMITS => block_limits(),
        // Nothing rotates (SBC-3 §6.6.2).
        page::CHARACTERISTICS => sized(&[0, 1], 60),
        // UNMAP and WRITE SAME unmap, and what is unmapped reads as zeros (SBC-3 §6.6.4).
        page::PROVISIONING => vec![0, 0xe4, 2, 0],
        _ => return Err(Sense::INVALID_FIELD_IN_CDB),
    };
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    Ok([&[0, page], length.as_slice(), &content].concat())
}

/// Block limits (SBC-3 §6.6.3).
fn block_limits() -> Vec<u8> {
    let mut limits = vec![1, 0, 0, 1]; // WRITE SAME of 0 blocks is refused; granularity 1
    limits.extend([0; 12]); // no limit to transfers but the driver's buffers
    limits.extend(MOST_UNMAPPED.to_be_bytes());
    limits.extend(MOST_SEGMENTS.to_be_bytes());
    limits.extend(1_u32.to_be_bytes()); // unmap granularity
    limits.extend([0; 4]);
    limits.extend(u64::from(MOST_UNMAPPED).to_be_bytes()); // WRITE SAME
    sized(&limits, 60)
}

fn sized(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(length, 0);
    bytes
}
