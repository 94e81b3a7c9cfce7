//! A logical unit: a disk at an address, and what it has to tell.

use vm_memory::GuestMemory;

use super::blocks::{self, Failure};
use super::command::Command;
use super::inquiry::{self, Peripheral};
use super::request::{Request, Sizes};
use super::sense::Sense;
use crate::companion::ScsiDisk;
use crate::device::disk::Disk;

/// A disk for a SCSI host.
pub struct ScsiDrive {
    /// What it is kept in.
    pub disk: Box<dyn Disk>,
    /// What it says it is called: up to 36 characters.
    pub serial: String,
}

impl std::fmt::Debug for ScsiDrive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScsiDrive").field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// The longest serial number that is told.
const SERIAL: usize = 36;

/// A disk that runs.
pub(super) struct LogicalUnit {
    pub(super) disk: Box<dyn Disk>,
    serial: String,
    /// Its state, as its section has it; requests in flight are there only while the host is stopped.
    pub(super) state: ScsiDisk,
    /// Why it has stopped to serve requests, if its disk failed and it is told to wait then.
    pub(super) stopped: Option<String>,
}

impl LogicalUnit {
    pub(super) fn new(drive: ScsiDrive) -> Self {
        let ScsiDrive { disk, serial } = drive;
        let serial = serial.chars().filter(char::is_ascii_graphic).take(SERIAL).collect();
        let mut unit = Self { disk, serial, state: ScsiDisk::default(), stopped: None };
        unit.reset(Sense::POWER_ON);
        unit
    }

    /// As after a reset of this kind, of which the driver is told.
    pub(super) fn reset(&mut self, why: Sense) {
        self.state = ScsiDisk::default();
        self.stopped = None;
        self.attend(why);
    }

    /// The driver is told this with its next command (SAM-5 §5.14).
    pub(super) fn attend(&mut self, to: Sense) {
        let Sense { key, asc, ascq } = to;
        let device = &mut self.state.qdev;
        (device.unit_attention_key, device.unit_attention_asc, device.unit_attention_ascq) = (key, asc, ascq);
    }

    /// What the driver is to be told, which is told once.
    pub(super) fn take_attention(&mut self) -> Option<Sense> {
        let device = &self.state.qdev;
        let sense =
            Sense::new(device.unit_attention_key, device.unit_attention_asc, device.unit_attention_ascq);
        self.attend(Sense::NONE);
        (sense != Sense::NONE).then_some(sense)
    }

    /// Does a command other than REPORT LUNS, whose data has room in the request. Gives how many bytes were moved.
    pub(super) fn serve<M: GuestMemory>(
        &mut self,
        command: &Command,
        request: &Request,
        memory: &M,
        sizes: Sizes,
    ) -> Result<Done, Failure> {
        if command.is_of_medium() {
            let (reader, writer) = (request.reader(memory, sizes), request.writer(memory, sizes));
            return blocks::serve(command, reader, writer, &mut *self.disk).map(Done::Moved);
        }
        Ok(Done::Answer(match *command {
            Command::RequestSense { in_descriptors, .. } => self.request_sense(in_descriptors),
            Command::Inquiry { page: None, .. } => inquiry::standard(Peripheral::Disk),
            Command::Inquiry { page: Some(page), .. } => inquiry::vital(page, &self.serial)?,
            Command::ReadCapacity10 => self.capacity_10(),
            Command::ReadCapacity16 { .. } => self.capacity_16(),
            Command::ModeSense { is_long, control, page, subpage, with_block, .. } => {
                self.mode_sense(is_long, control, (page, subpage), with_block)?
            }
            _ => Vec::new(),
        }))
    }
}

/// What became of a command that was done.
#[derive(Debug)]
pub(super) enum Done {
    /// So many bytes were moved.
    Moved(u64),
    /// This is to be told, as far as there is room for it.
    Answer(Vec<u8>),
}
