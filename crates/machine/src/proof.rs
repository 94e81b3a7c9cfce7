//! What the world has seen of a guest's work, compared with what the guest says it did: nothing is lost, nothing comes
//! twice, nothing is damaged.

use std::io;

use serde::{Deserialize, Serialize};
use virtio::device::balloon::BalloonHandle;
use virtio::device::disk::{Disk, SECTOR};

use crate::guest::console::number;
use crate::guest::record::check;
use crate::guest::report::StorageReport;
use crate::guest::storage::RECORD;
use crate::guest::{Report, report};

/// Lines that may be on their way when a guest is stopped.
const ON_THE_WAY: u64 = 8;

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Records on the disk that are as they should be.
    pub records: u64,
    /// Lines on the console, each once and in order.
    pub lines: u64,
    /// Everything that is not as it should be, in words.
    pub problems: Vec<String>,
}

impl Proof {
    /// Compares what a guest that was stopped says with its disk, with those of its SCSI host, one for each target, and
    /// with what is on its console.
    ///
    /// # Errors
    /// If a disk cannot be read.
    pub fn of(
        report: &Report,
        disk: &mut dyn Disk,
        targets: &mut [Box<dyn Disk>],
        console: &str,
    ) -> io::Result<Self> {
        let mut proof = Self::default();
        proof.own_word(report);
        for queue in &report.blk {
            proof.disk(queue, disk)?;
        }
        for queue in &report.scsi {
            let target = usize::try_from(queue.disk).ok().and_then(|index| targets.get_mut(index));
            proof.disk(queue, &mut **target.ok_or(io::ErrorKind::NotFound)?)?;
        }
        proof.console(report, console);
        Ok(proof)
    }

    /// What is wrong with a balloon that is the guest's only one, if its device has been told otherwise than the guest
    /// says.
    #[must_use]
    pub fn balloon(report: &Report, balloon: &BalloonHandle) -> Option<String> {
        let (told, given) = (balloon.actual(), report.ballooned);
        (told != given).then(|| format!("the balloon was told of {told} pages, the guest gave {given}"))
    }

    fn own_word(&mut self, report: &report::Report) {
        let Report { bad, lost_interrupts, connections, transport_resets, .. } = report;
        if *bad > 0 {
            self.problems.push(format!("the guest found {bad} things that were not as they should be"));
        }
        if *lost_interrupts > 0 {
            self.problems.push(format!("{lost_interrupts} interrupts did not come"));
        }
        if *connections > transport_resets + 1 {
            self.problems.push(format!(
                "{connections} connections were made, and the device said {transport_resets} times that they are gone"
            ));
        }
    }

    /// Every record that was written and not replaced is there. Of a place that is being written, either record is.
    fn disk(&mut self, queue: &StorageReport, disk: &mut dyn Disk) -> io::Result<()> {
        let mut bytes = vec![0; RECORD as usize];
        for record in queue.next.saturating_sub(queue.places)..queue.written {
            let sector = queue.first_sector + record % queue.places * (u64::from(RECORD) / SECTOR);
            disk.read(sector * SECTOR, &mut bytes)?;
            let is_it =
                check(&bytes).is_some_and(|head| head.stream == queue.stream && head.number == record);
            if is_it {
                self.records += 1;
            } else {
                self.problems.push(format!(
                    "record {record} of stream {:#x}, which was written, is not at sector {sector}",
                    queue.stream
                ));
            }
        }
        Ok(())
    }

    fn console(&mut self, report: &Report, console: &str) {
        // The last line may still be on its way.
        let whole = console.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        for line in whole {
            if number(line) == Some(self.lines) {
                self.lines += 1;
            } else {
                self.problems.push(format!("line {} on the console is `{line}`", self.lines));
                return;
            }
        }
        if self.lines > report.lines || self.lines + ON_THE_WAY < report.lines {
            let (came, written) = (self.lines, report.lines);
            self.problems.push(format!("{came} lines came of {written} that were written"));
        }
    }
}
