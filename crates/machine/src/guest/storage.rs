//! The work of all drivers of disks: numbered records written one after the other, each queue to a part of a disk of
//! its own, and earlier ones read back and checked. What a request looks like is the driver's (`Requests`).

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::Queue;
use super::record::{check, record};
use super::ring::{MAX_SIZE, Piece};
use super::sleep::Sleep;
use super::{Board, Fault};
use crate::ram::Memory;

/// Bytes of a record: one request.
pub const RECORD: u32 = 4096;
/// Bytes of a sector.
pub(super) const SECTOR: u64 = 512;
/// Sectors of a record.
pub(super) const SECTORS: u64 = RECORD as u64 / SECTOR;
/// Requests that a queue has in flight.
const DEPTH: usize = 8;
/// Every so many writes are flushed.
const FLUSH_EVERY: u64 = 32;
/// Memory for each request: what device and driver tell each other, and on a page of its own the data.
const STRIDE: u64 = 8192;
const DATA_AT: u64 = 4096;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Write,
    Read,
    Flush,
}

/// A request that the device has.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Task {
    /// One of `Kind`, counted from 1; 0: nothing.
    kind: u64,
    /// The record that is written or read.
    number: u64,
}

impl Task {
    fn new(kind: Kind, number: u64) -> Self {
        Self { kind: kind as u64 + 1, number }
    }

    fn kind(self) -> Option<Kind> {
        [Kind::Write, Kind::Read, Kind::Flush].into_iter().find(|&kind| kind as u64 + 1 == self.kind)
    }
}

/// The requests of a driver of disks.
pub(super) trait Requests {
    /// Writes a request for the sectors of a record at `at`, below the page of its data; gives its buffers.
    fn write(
        &self,
        kind: Kind,
        sector: u64,
        at: u64,
        data: Piece,
        memory: &Memory,
    ) -> Result<Vec<Piece>, Fault>;

    /// Whether the request at `at`, which came back, was done.
    fn is_good(&self, at: u64, memory: &Memory) -> Result<bool, Fault>;
}

/// A part of a disk, which a queue has for itself.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Part {
    /// What its records are called.
    pub stream: u64,
    /// Which of the device's disks it is of.
    pub disk: u64,
    /// Its first sector.
    pub first_sector: u64,
    /// Records that it has room for: number `n` is in place `n % places`.
    pub places: u64,
}

/// A queue at work.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Worker {
    queue: Queue,
    sleep: Sleep,
    /// Where it works.
    pub part: Part,
    /// The record that is written next.
    pub next: u64,
    /// All records below were written.
    pub written: u64,
    /// Of the 64 records from `written` on, those that were.
    window: u64,
    /// Reads that were given to the device.
    asked: u64,
    /// Records that were read back.
    pub read: u64,
    /// Flushes that were done.
    pub flushed: u64,
    /// Requests that the device failed, and records that were not what was written.
    pub bad: u64,
    /// Guest address of the requests' memory.
    buffers: u64,
    tasks: [Task; MAX_SIZE as usize],
}

impl Part {
    /// Part `index` of `count` of a disk with so many sectors; `None` if they are too few.
    pub(super) fn of(sectors: u64, disk: u64, (index, count): (u64, u64), stream: u64) -> Option<Self> {
        let places = sectors / count / SECTORS;
        (places >= 2 * DEPTH as u64).then(|| Self {
            stream,
            disk,
            first_sector: index * places * SECTORS,
            places,
        })
    }

    /// The sector at which a record is.
    #[must_use]
    pub fn sector(&self, number: u64) -> u64 {
        self.first_sector + number % self.places * SECTORS
    }
}

impl Worker {
    pub(super) fn new(queue: Queue, part: Part, booting: &mut Booting<'_>) -> Result<Self, Fault> {
        let buffers = booting.allocate(STRIDE * u64::from(queue.ring.size))?;
        Ok(Self {
            queue,
            sleep: Sleep::default(),
            part,
            next: 0,
            written: 0,
            window: 0,
            asked: 0,
            read: 0,
            flushed: 0,
            bad: 0,
            buffers,
            tasks: [Task::default(); MAX_SIZE as usize],
        })
    }

    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    /// Works, unless it waits for the device.
    pub(super) fn step(&mut self, requests: &impl Requests, moment: &mut Moment<'_>) -> Result<(), Fault> {
        if !self.sleep.is_over(&mut self.queue.ring, moment)? {
            return Ok(());
        }
        while let Some((id, _)) = self.queue.ring.take(moment.board.memory())? {
            self.done(id, requests, moment.board.memory())?;
        }
        while self.queue.ring.in_flight() < DEPTH {
            let (kind, number) = self.choose();
            if !self.submit(kind, number, requests, moment.board)? {
                break;
            }
        }
        self.queue.kick(moment.board)?;
        self.sleep.begin(&mut self.queue.ring, moment)
    }

    /// What is done next: every fourth request reads a record back.
    fn choose(&self) -> (Kind, u64) {
        let turn = self.next + self.asked + self.flushed;
        let recent = self.written.min(self.part.places / 2);
        if turn % 4 == 3 && recent > 0 {
            let back = turn.wrapping_mul(0x9e37_79b9) % recent;
            return (Kind::Read, self.written - 1 - back);
        }
        if self.next / FLUSH_EVERY > self.flushed {
            return (Kind::Flush, 0);
        }
        (Kind::Write, self.next)
    }

    fn submit(
        &mut self,
        kind: Kind,
        number: u64,
        requests: &impl Requests,
        board: &mut dyn Board,
    ) -> Result<bool, Fault> {
        let memory = board.memory();
        // The next id tells where the request's memory is.
        let Some(id) = self.queue.ring.next_id() else { return Ok(false) };
        let at = self.buffers + STRIDE * u64::from(id);
        let data = Piece { address: at + DATA_AT, length: RECORD, writable: kind == Kind::Read };
        if kind == Kind::Write {
            let stream = u32::try_from(self.part.stream).unwrap_or_default();
            let record = record(stream, number, RECORD as usize);
            memory.write_slice(&record, GuestAddress(data.address)).map_err(|_| Fault::at(data.address))?;
        }
        let pieces = requests.write(kind, self.part.sector(number), at, data, memory)?;
        let Some(id) = self.queue.ring.add(&pieces, memory)? else { return Ok(false) };
        match kind {
            Kind::Write => self.next += 1,
            Kind::Flush => self.flushed += 1,
            Kind::Read => self.asked += 1,
        }
        if let Some(place) = self.tasks.get_mut(usize::from(id)) {
            *place = Task::new(kind, number);
        }
        Ok(true)
    }

    /// A request came back.
    fn done(&mut self, id: u16, requests: &impl Requests, memory: &Memory) -> Result<(), Fault> {
        let task = self.tasks.get(usize::from(id)).copied().unwrap_or_default();
        let at = self.buffers + STRIDE * u64::from(id);
        let mut is_good = requests.is_good(at, memory)?;
        match task.kind() {
            Some(Kind::Write) => self.note_written(task.number),
            Some(Kind::Read) => {
                let mut bytes = vec![0; RECORD as usize];
                memory.read_slice(&mut bytes, GuestAddress(at + DATA_AT)).map_err(|_| Fault::at(at))?;
                is_good &= check(&bytes).is_some_and(|head| {
                    u64::from(head.stream.get()) == self.part.stream && head.number.get() == task.number
                });
                self.read += 1;
            }
            _ => {}
        }
        self.bad += u64::from(!is_good);
        Ok(())
    }

    /// A record was written; requests may come back in any order.
    fn note_written(&mut self, number: u64) {
        let ahead = number.wrapping_sub(self.written);
        if ahead < 64 {
            self.window |= 1 << ahead;
        }
        let whole = self.window.trailing_ones();
        self.window = self.window.checked_shr(whole).unwrap_or_default();
        self.written += u64::from(whole);
    }
}
