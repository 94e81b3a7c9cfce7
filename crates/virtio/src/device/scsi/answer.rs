//! What a disk or target says of itself in a few bytes: its capacity, its logical units, what went wrong last.

use super::address::ScsiAddress;
use super::sense::Sense;
use super::unit::LogicalUnit;
use crate::device::disk::SECTOR;

/// Bytes of READ CAPACITY(16)'s answer (SBC-3 §5.16.2).
const CAPACITY_16: usize = 32;
/// What its byte 14 says: blocks may be unmapped, and read as zeros then.
const LBPME_AND_LBPRZ: u8 = 0xc0;
/// The least room that REPORT LUNS may leave (SPC-4 §6.33).
const LEAST_LUNS: u64 = 16;

impl LogicalUnit {
    /// READ CAPACITY(10) (SBC-3 §5.15): the last block, or all ones if there are too many.
    pub(super) fn capacity_10(&self) -> Vec<u8> {
        let last = u32::try_from(self.last_block()).unwrap_or(u32::MAX);
        [last.to_be_bytes(), block_length()].concat()
    }

    /// READ CAPACITY(16).
    pub(super) fn capacity_16(&self) -> Vec<u8> {
        let mut answer = self.last_block().to_be_bytes().to_vec();
        answer.extend(block_length());
        answer.extend([0, 0]);
        answer.push(if self.disk.is_read_only() { 0 } else { LBPME_AND_LBPRZ });
        answer.resize(CAPACITY_16, 0);
        answer
    }

    fn last_block(&self) -> u64 {
        self.disk.sectors().saturating_sub(1)
    }

    /// REQUEST SENSE (SPC-4 §6.39): what waits to be told, or what came with an earlier machine and was not told.
    pub(super) fn request_sense(&mut self, in_descriptors: bool) -> Vec<u8> {
        let kept = usize::try_from(std::mem::take(&mut self.state.qdev.sense_len)).unwrap_or_default();
        let kept: Vec<u8> = self.state.qdev.sense.iter().copied().take(kept).collect();
        match self.take_attention() {
            None if !kept.is_empty() => kept,
            sense => sense_data(sense.unwrap_or(Sense::NONE), in_descriptors),
        }
    }
}

/// Sense data as the answer to REQUEST SENSE.
pub(super) fn sense_data(sense: Sense, in_descriptors: bool) -> Vec<u8> {
    if in_descriptors { sense.descriptor().to_vec() } else { sense.fixed().to_vec() }
}

/// REPORT LUNS (SPC-4 §6.33), of a target with these logical units. LUN 0 is among them whether there is a disk or
/// not.
pub(super) fn report_luns(
    select: u8,
    room: u64,
    luns: impl Iterator<Item = ScsiAddress>,
) -> Result<Vec<u8>, Sense> {
    if room < LEAST_LUNS {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    let mut list = Vec::new();
    match select {
        0 | 2 => {
            list.extend([0; 8]);
            for address in luns.filter(|address| address.lun != 0) {
                list.extend(address.lun_field());
                list.extend([0; 6]);
            }
        }
        // Well-known logical units: there are none.
        1 => {}
        _ => return Err(Sense::INVALID_FIELD_IN_CDB),
    }
    let length = u32::try_from(list.len()).unwrap_or(u32::MAX).to_be_bytes();
    Ok([&length, &[0; 4], list.as_slice()].concat())
}

fn block_length() -> [u8; 4] {
    u32::try_from(SECTOR).unwrap_or_default().to_be_bytes()
}
