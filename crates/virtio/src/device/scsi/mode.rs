//! MODE SENSE: how a disk is set (SPC-4 §6.11, §7.5). Nothing of it can be changed.

use super::sense::Sense;
use super::unit::LogicalUnit;
use crate::device::disk::SECTOR;

const CACHING: u8 = 8;
const ALL: u8 = 0x3f;
const ALL_WITH_SUBPAGES: u8 = 0xff;

/// Page control: which values are asked for.
const CHANGEABLE: u8 = 1;
const SAVED: u8 = 3;

/// The device-specific parameter (SBC-3 §6.4.1): force unit access is known; nothing may be written.
const DPOFUA: u8 = 0x10;
const WRITE_PROTECTED: u8 = 0x80;

/// Bytes of the caching page behind its head (SBC-3 §6.4.5).
const CACHING_LENGTH: u8 = 18;
/// What is written is not yet certain to last: SYNCHRONIZE CACHE makes it.
const WCE: u8 = 4;

impl LogicalUnit {
    pub(super) fn mode_sense(
        &self,
        is_long: bool,
        control: u8,
        (page, subpage): (u8, u8),
        with_block: bool,
    ) -> Result<Vec<u8>, Sense> {
        if control == SAVED {
            return Err(Sense::SAVING_NOT_SUPPORTED);
        }
        let mut pages = Vec::new();
        match (page, subpage) {
            (CACHING, 0) | (ALL, 0 | ALL_WITH_SUBPAGES) => {
                pages.extend([CACHING, CACHING_LENGTH, if control == CHANGEABLE { 0 } else { WCE }]);
                pages.resize(2 + usize::from(CACHING_LENGTH), 0);
            }
            _ => return Err(Sense::INVALID_FIELD_IN_CDB),
        }
        let block = if with_block { self.block_descriptor().to_vec() } else { Vec::new() };
        let protected = if self.disk.is_read_only() { WRITE_PROTECTED } else { 0 };
        let block_length = u8::try_from(block.len()).unwrap_or_default();
        let rest = [block, pages].concat();
        let after = |bytes: usize| u16::try_from(rest.len() + bytes).unwrap_or(u16::MAX).to_be_bytes();
        // The length is that of all that follows it.
        let head = if is_long {
            let [high, low] = after(6);
            vec![high, low, 0, DPOFUA | protected, 0, 0, 0, block_length]
        } else {
            let [_, low] = after(3);
            vec![low, 0, DPOFUA | protected, block_length]
        };
        Ok([head, rest].concat())
    }

    /// The short descriptor: blocks, or 0 if there are too many, and bytes of each (SBC-3 §6.4.2.2).
    fn block_descriptor(&self) -> [u8; 8] {
        let blocks = u32::try_from(self.disk.sectors()).ok().filter(|blocks| *blocks < 1 << 24);
        let [_, b1, b2, b3] = blocks.unwrap_or(0).to_be_bytes();
        let [_, l1, l2, l3] = u32::try_from(SECTOR).unwrap_or_default().to_be_bytes();
        [0, b1, b2, b3, 0, l1, l2, l3]
    }
}
