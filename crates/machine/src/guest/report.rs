//! What the guest has done so far, read from its memory as a debugger would.

use serde::{Deserialize, Serialize};

use super::boot::Root;
use super::{Cell, Cpu, Fault, balloon, blk, console, input, net, pages, rng, scsi, storage, vsock};
use crate::ram::Memory;

/// What the guest has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Moments since it booted.
    pub ticks: u64,
    /// What each queue of its block devices did.
    pub blk: Vec<StorageReport>,
    /// What each request queue of its SCSI hosts did.
    pub scsi: Vec<StorageReport>,
    /// Tasks of SCSI hosts that were asked for.
    pub tasks: u64,
    /// Frames that its network devices sent and that came back.
    pub frames: u64,
    /// Frames that were sent again, because no answer came in time.
    pub frames_again: u64,
    /// Commands of control queues that were done.
    pub controls: u64,
    /// Announcements after a migration.
    pub announced: u64,
    /// Lines on consoles.
    pub lines: u64,
    /// Bytes that came from consoles.
    pub typed: u64,
    /// Bytes of entropy.
    pub entropy: u64,
    /// Messages that went over sockets to the host's echo and back.
    pub messages: u64,
    /// Connections that were made for that.
    pub connections: u64,
    /// How often a device said that all connections are gone.
    pub transport_resets: u64,
    /// Keys that were typed.
    pub keys: u64,
    /// Whether the light of the keyboard is on.
    pub light: bool,
    /// Pages that balloons have.
    pub ballooned: u32,
    /// Pages that balloons were given, in all.
    pub inflated: u64,
    /// Pages that were taken back from them, in all.
    pub deflated: u64,
    /// Writes to the pages that are dirtied again and again.
    pub page_writes: u64,
    /// Interrupts that should have come and did not.
    pub lost_interrupts: u64,
    /// Everything that was not as it should be: failed requests, damaged records, pages, frames.
    pub bad: u64,
}

/// What a queue of a block device or SCSI host did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageReport {
    /// Which slot the device is in.
    pub slot: u32,
    /// Which of the device's disks the queue works on: of a SCSI host the target.
    pub disk: u64,
    /// What the queue's records are called.
    pub stream: u32,
    /// The first sector of its part of the disk.
    pub first_sector: u64,
    /// Records that there is room for.
    pub places: u64,
    /// All records below were written.
    pub written: u64,
    /// Records that have been given to the device: those from `written` on may or may not be there.
    pub next: u64,
    /// Records that were read back.
    pub read: u64,
}

impl Report {
    /// Reads it from memory.
    ///
    /// # Errors
    /// If the guest has not booted, or its memory is not as it left it.
    pub fn read(cpu: &Cpu, memory: &Memory) -> Result<Self, Fault> {
        let root = Cell::<Root>::at(cpu.root).load(memory)?;
        let mut report = Self { ticks: cpu.ticks, ..Self::default() };
        for driver in root.drivers() {
            match driver.device {
                blk::ID => {
                    let device: blk::Blk = Cell::at(driver.cell).load(memory)?;
                    let queues = report.storage(driver.slot, device.cells(), memory)?;
                    report.blk.extend(queues);
                }
                net::ID => report.add_net(&Cell::at(driver.cell).load(memory)?, memory)?,
                console::ID => report.add_console(&Cell::at(driver.cell).load(memory)?),
                rng::ID => report.add_rng(&Cell::at(driver.cell).load(memory)?),
                vsock::ID => report.add_vsock(&Cell::at(driver.cell).load(memory)?),
                input::ID => report.add_input(&Cell::at(driver.cell).load(memory)?),
                balloon::ID => report.add_balloon(&Cell::at(driver.cell).load(memory)?),
                scsi::ID => report.add_scsi(driver.slot, &Cell::at(driver.cell).load(memory)?, memory)?,
                _ => {}
            }
        }
        if root.pages != 0 {
            let pages: pages::Pages = Cell::at(root.pages).load(memory)?;
            report.page_writes = pages.written;
            report.bad += pages.bad;
        }
        Ok(report)
    }

    /// Looks at every page that the guest dirties; gives how many do not hold what they should.
    ///
    /// # Errors
    /// If they are not in memory.
    pub fn inspect_pages(cpu: &Cpu, memory: &Memory) -> Result<u64, Fault> {
        let root = Cell::<Root>::at(cpu.root).load(memory)?;
        match root.pages {
            0 => Ok(0),
            pages => Cell::<pages::Pages>::at(pages).load(memory)?.inspect(memory),
        }
    }

    fn add_scsi(&mut self, slot: u32, device: &scsi::Scsi, memory: &Memory) -> Result<(), Fault> {
        self.tasks += device.tasks;
        self.bad += device.bad;
        self.lost_interrupts += device.lost_interrupts();
        let queues = self.storage(slot, device.cells(), memory)?;
        self.scsi.extend(queues);
        Ok(())
    }

    fn storage(
        &mut self,
        slot: u32,
        cells: impl Iterator<Item = Cell<storage::Worker>>,
        memory: &Memory,
    ) -> Result<Vec<StorageReport>, Fault> {
        let mut queues = Vec::new();
        for cell in cells {
            let worker = cell.load(memory)?;
            self.lost_interrupts += worker.lost_interrupts();
            self.bad += worker.bad;
            queues.push(StorageReport {
                slot,
                disk: worker.part.disk,
                stream: u32::try_from(worker.part.stream).unwrap_or_default(),
                first_sector: worker.part.first_sector,
                places: worker.part.places,
                written: worker.written,
                next: worker.next,
                read: worker.read,
            });
        }
        Ok(queues)
    }

    fn add_net(&mut self, device: &net::Net, memory: &Memory) -> Result<(), Fault> {
        self.bad += device.bad;
        for cell in device.cells() {
            let pair = cell.load(memory)?;
            self.frames += pair.answered;
            self.frames_again += pair.again;
            self.bad += pair.bad;
        }
        if let Some(control) = device.control() {
            let control = control.load(memory)?;
            self.controls += control.done;
            self.announced += control.announced;
            self.lost_interrupts += control.lost_interrupts();
            self.bad += control.refused;
        }
        Ok(())
    }

    fn add_console(&mut self, device: &console::Console) {
        self.lines += device.lines;
        self.typed += device.typed;
        self.lost_interrupts += device.lost_interrupts();
    }

    fn add_vsock(&mut self, device: &vsock::Vsock) {
        self.messages += device.messages();
        self.connections += device.connections();
        self.transport_resets += device.resets;
        self.lost_interrupts += device.lost_interrupts();
        self.bad += device.bad();
    }

    fn add_input(&mut self, device: &input::Input) {
        self.keys += device.keys;
        self.light |= device.light != 0;
        self.lost_interrupts += device.lost_interrupts();
        self.bad += device.bad;
    }

    fn add_balloon(&mut self, device: &balloon::Balloon) {
        self.ballooned += device.given;
        self.inflated += device.inflated;
        self.deflated += device.deflated;
        self.lost_interrupts += device.lost_interrupts();
        self.bad += device.bad;
    }

    fn add_rng(&mut self, device: &rng::Rng) {
        self.entropy += device.bytes;
        self.lost_interrupts += device.lost_interrupts();
        self.bad += device.bad;
    }
}
