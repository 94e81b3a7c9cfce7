//! Requests in flight: into the sections of the disks, where QEMU has them, and back.

use std::io::Read;

use vm_memory::GuestMemory;

use super::REQUESTS;
use super::address::{InvalidAddress, ScsiAddress};
use super::command::Command;
use super::live::LiveScsi;
use super::request::{Header, Request};
use super::unit::LogicalUnit;
use crate::companion::{self, Cdb, Companion, CompanionState, DiskRequest, ScsiDisk};
use crate::device::bytes::Bytes;
use crate::live::{Breakage, Context, InFlight, ResumeError};
use crate::ring::Reader;

/// The least buffer that QEMU gives an emulated command on its host, in bytes.
const LEAST_BUFFER: u64 = 4096;

/// The half of a request's id that is carried.
const LOWER: u64 = 0xffff_ffff;

impl LiveScsi {
    /// Gives each disk its requests in flight. What a driver asked for is read again: it is the driver's to keep
    /// until it has the answer.
    pub(super) fn carry<M: GuestMemory>(&mut self, in_flight: Vec<InFlight>, cx: &Context<'_, M>) {
        for unit in self.units.values_mut() {
            unit.state.qdev.requests.0.clear();
        }
        for InFlight { queue, element } in in_flight {
            let mut reader = Reader::of_element(cx.memory, &element);
            let header = Header::read(&mut reader, cx.negotiated.endianness, self.sizes).unwrap_or_default();
            let address = header.address.filter(|address| self.units.contains_key(address));
            // One that waited for its turn (`IN_ORDER`) may be for a disk that is not there: any disk can carry it.
            let Some(address) = address.or_else(|| self.units.keys().next().copied()) else { continue };
            let Some(unit) = self.units.get_mut(&address) else { continue };
            let (disk, data) = disk_part(header.cdb, &mut reader);
            unit.state.qdev.requests.0.push(companion::Request {
                // QEMU tries again what has this mark, and leaves alone what has the other.
                progress: companion::Request::RETRY,
                cdb: header.cdb,
                tag: u32::try_from(header.id & LOWER).unwrap_or_default(),
                lun: header.address.map_or(0, |address| address.lun).into(),
                queue: u32::try_from(queue.saturating_sub(REQUESTS)).unwrap_or_default(),
                element,
                disk: Some(disk),
                read_length: None,
                data,
            });
        }
    }

    /// The disks' sections.
    pub(super) fn sections(&self) -> Vec<(String, Companion)> {
        let section = |unit: &LogicalUnit| Companion::ScsiDisk(unit.state.clone());
        self.units.iter().map(|(address, unit)| (address.to_string(), section(unit))).collect()
    }

    /// Takes a disk's section up. Its requests are done from their beginning: that is no harm, and all their data is
    /// in the guest's buffers.
    pub(super) fn take_up<M: GuestMemory>(
        &mut self,
        address: &str,
        companion: Companion,
        cx: &mut Context<'_, M>,
    ) -> Result<(), ResumeError> {
        let Companion::ScsiDisk(mut disk) = companion else {
            let found = companion.companion_type().section.to_owned();
            return Err(ResumeError::Kind {
                found,
                expected: <ScsiDisk as CompanionState>::TYPE.section.to_owned(),
            });
        };
        let address: ScsiAddress =
            address.parse().map_err(|error: InvalidAddress| ResumeError::Device(error.to_string()))?;
        let there: Vec<_> = self.units.keys().map(ToString::to_string).collect();
        let Some(unit) = self.units.get_mut(&address) else {
            return Err(ResumeError::Device(format!(
                "the state has a disk at {address}, the host here has disks at {}",
                if there.is_empty() { "no address".to_owned() } else { there.join(", ") }
            )));
        };
        let requests = std::mem::take(&mut disk.qdev.requests.0);
        unit.state = disk;
        for companion::Request { queue, element, cdb, tag, lun, .. } in requests {
            let queue = usize::try_from(queue).unwrap_or(usize::MAX).saturating_add(REQUESTS);
            let chain = cx.resume(queue, &element)?;
            let request = Request::of(queue, chain, cx.memory, &cx.negotiated, self.sizes)
                .map_err(|message| Breakage::Request { queue, message })?;
            // What the disk was told, should the driver have changed it since. Of the id only the lower half came.
            let id = Some(request.header.id).filter(|id| id & LOWER == u64::from(tag)).unwrap_or(tag.into());
            let lun = u16::try_from(lun).unwrap_or(u16::MAX);
            let header = Header { address: Some(ScsiAddress { lun, ..address }), id, cdb, ..request.header };
            self.waiting.push_back(Request { header, ..request });
        }
        Ok(())
    }
}

/// What the disk knows of a request: what is still to be done (all of it), and the parameters of a command that it
/// answers itself.
fn disk_part<M: GuestMemory>(cdb: Cdb, reader: &mut Reader<'_, M>) -> (DiskRequest, Bytes) {
    if let Some(extent) = Command::of(cdb).ok().and_then(|command| command.moved_blocks()) {
        return (
            DiskRequest { sector: extent.lba, sector_count: extent.blocks, buflen: 0 },
            Bytes::default(),
        );
    }
    let mut data = Vec::new();
    if reader.by_ref().take(cdb.parameter_length()).read_to_end(&mut data).is_err() || data.is_empty() {
        return (DiskRequest::default(), Bytes::default());
    }
    let buflen = u32::try_from(LEAST_BUFFER.max(data.len() as u64)).unwrap_or(u32::MAX);
    (DiskRequest { buflen, ..DiskRequest::default() }, Bytes(data))
}
