//! Requests in flight of a SCSI disk: what the bus, the host adapter and the disk know of each.

use serde::{Deserialize, Serialize};
use vmstate::{ErrorKind, VmState};

use super::cdb::Cdb;
use crate::device::HasSwitches;
use crate::device::bytes::Bytes;
use crate::element::Element;
use crate::shape::{Switch, Switches};

/// Bytes of a sector, whatever the block size of the disk.
const SECTOR: u64 = 512;

/// What the layout of a request depends on.
#[derive(Debug, Clone, Copy)]
pub struct DiskLayout {
    /// Properties of host adapter, disk and host.
    pub switches: Switches,
    /// How much data there is that goes to the disk.
    pub write_length: WriteLength,
}

/// How much data of a request that goes to the disk its section has.
///
/// QEMU writes what it has and reads what [`Sectors`](Self::Sectors) says. For emulated commands (UNMAP,
/// say) the two are not the same, and QEMU loses its place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteLength {
    /// As much as the sectors still to be written, and what fits in the buffer.
    Sectors,
    /// That, or the parameters of an emulated command.
    Parameters,
}

impl HasSwitches for DiskLayout {
    fn switches(&self) -> Switches {
        self.switches
    }
}

impl DiskLayout {
    fn has_disk_part(&self, cdb: Cdb) -> bool {
        !(cdb.is_emulated() && self.switches.has(Switch::BareEmulatedRequests))
    }
}

/// A request that a SCSI host took and the disk has not done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "scsi-requests", context = DiskLayout, post_load = Request::check_progress)]
pub struct Request {
    /// 1: it failed, and waits to be tried again; 2: it is under way.
    pub progress: u8,
    /// The command.
    #[vmstate(rename = "cmd")]
    pub cdb: Cdb,
    /// The host adapter's number for it.
    pub tag: u32,
    /// The logical unit it is for.
    pub lun: u32,
    /// The request queue it was taken from: 0 is the first, after control and event queue.
    pub queue: u32,
    /// Its buffers in the guest.
    pub element: Element,
    /// What the disk knows of it (emulated commands: machines since 9.1).
    #[vmstate(when = cx.has_disk_part(cdb))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskRequest>,
    /// Bytes that were read from the disk and have not yet gone to the guest.
    #[vmstate(when = disk.as_ref().is_some_and(|disk: &DiskRequest| disk.has_read_data(cdb, progress)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_length: Option<u32>,
    /// Data on its way between guest and disk.
    #[vmstate(count = match (read_length, &disk) {
        (Some(length), _) => u64::from(length),
        (None, Some(disk)) => disk.written(cdb, cx.write_length),
        (None, None) => 0,
    })]
    #[serde(default, skip_serializing_if = "<[u8]>::is_empty")]
    pub data: Bytes,
}

/// What a disk knows of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "scsi-disk-request")]
pub struct DiskRequest {
    /// The next sector of 512 bytes.
    pub sector: u64,
    /// Sectors still to do.
    pub sector_count: u32,
    /// Bytes of the buffer on the host; 0 if data goes straight to and from the guest, as it does where
    /// blocks are moved for a virtio-scsi host.
    pub buflen: u32,
}

impl Request {
    /// [`Request::progress`]: it waits to be tried again.
    pub const RETRY: u8 = 1;
    /// [`Request::progress`]: it is under way.
    pub const UNDER_WAY: u8 = 2;

    fn check_progress(&mut self, _: &DiskLayout) -> Result<(), ErrorKind> {
        match self.progress {
            Self::RETRY | Self::UNDER_WAY => Ok(()),
            found => {
                let (what, expected) = ("request marker", "0 (end), 1 (try again) or 2 (under way)");
                Err(ErrorKind::Unknown { what, found: found.into(), expected })
            }
        }
    }

    /// How much data QEMU takes for the request's, where it is not how much there is.
    pub(super) fn misread_length(&self) -> Option<u64> {
        let disk = self.disk.filter(|_| self.read_length.is_none())?;
        let length = disk.written(self.cdb, WriteLength::Sectors);
        (length != self.data.len() as u64).then_some(length)
    }
}

impl DiskRequest {
    fn has_read_data(&self, cdb: Cdb, progress: u8) -> bool {
        self.buflen != 0 && !cdb.is_to_device() && progress != Request::RETRY
    }

    fn written(&self, cdb: Cdb, length: WriteLength) -> u64 {
        if self.buflen == 0 || !cdb.is_to_device() {
            return 0;
        }
        let length = match length {
            WriteLength::Parameters if cdb.is_emulated() => cdb.parameter_length(),
            _ => SECTOR * u64::from(self.sector_count),
        };
        length.min(self.buflen.into())
    }
}
