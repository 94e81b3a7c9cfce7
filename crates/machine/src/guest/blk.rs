//! A driver for block devices (virtio 1.3 §5.2), and its work: numbered records written one after the other, each
//! queue to a part of the disk of its own, and earlier ones read back and checked.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{Function, Queue};
use super::record::{check, record};
use super::ring::{MAX_SIZE, Piece};
use super::sleep::Sleep;
use super::{Board, Cell, Fault};

/// The virtio device ID.
pub const ID: u32 = 2;

const F_FLUSH: u8 = 9;
const F_MQ: u8 = 12;
/// Fields of the configuration space (§5.2.4).
const CAPACITY: u64 = 0;
const NUM_QUEUES: u64 = 34;
const SECTOR: u64 = 512;

/// Types of requests (§5.2.6).
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;

/// Bytes of a record: one request.
pub const RECORD: u32 = 4096;
/// Requests that a queue has in flight.
const DEPTH: usize = 8;
/// Every so many writes are flushed.
const FLUSH_EVERY: u64 = 32;
/// Memory for each request: header, status, and on a page of its own the data.
const STRIDE: u64 = 8192;
const STATUS_AT: u64 = 16;
const DATA_AT: u64 = 4096;

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Blk {
    function: Function,
    /// How many queues it uses.
    count: u64,
    /// Guest addresses of their [`BlkQueue`]s.
    queues: [u64; 64],
}

/// A request that the device has.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    kind: u64,
    /// The record that is written or read.
    number: u64,
}

/// A queue of a block device at work.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BlkQueue {
    queue: Queue,
    sleep: Sleep,
    /// What its records are called.
    pub stream: u64,
    /// The first sector of its part of the disk.
    pub first_sector: u64,
    /// Records that its part has room for: number `n` is in place `n % places`.
    pub places: u64,
    /// The record that is written next.
    pub next: u64,
    /// All records below were written.
    pub written: u64,
    /// Of the 64 records from `written` on, those that were.
    window: u64,
    /// Records that were read back.
    pub read: u64,
    /// Flushes that were done.
    pub flushed: u64,
    /// Requests that the device failed, and records that were not what was written.
    pub bad: u64,
    /// Guest address of the requests' memory.
    buffers: u64,
    requests: [Request; MAX_SIZE as usize],
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let is_many = |features: u64| features >> F_MQ & 1 == 1;
    let config = *function;
    let set_up = function.set_up(&[F_FLUSH, F_MQ], booting, |features, board| match is_many(features) {
        true => usize::try_from(config.config(NUM_QUEUES, 2, board)).unwrap_or(1).clamp(1, 64),
        false => 1,
    })?;
    let sectors = function.config(CAPACITY, 8, booting.board);
    let count = set_up.queues.len() as u64;
    let each = sectors / count / u64::from(RECORD) * SECTOR;
    if each < 2 * DEPTH as u64 {
        return Err(function.fault(format!("its {sectors} sectors are too few for {count} queues")));
    }
    let mut blk = Blk { function: *function, count, queues: [0; 64] };
    for (index, (queue, place)) in (0_u64..).zip(set_up.queues.into_iter().zip(&mut blk.queues)) {
        let buffers = booting.allocate(STRIDE * u64::from(queue.ring.size))?;
        *place = booting.place(&BlkQueue {
            queue,
            sleep: Sleep::default(),
            stream: u64::from(function.slot) << 8 | index,
            first_sector: index * each * (u64::from(RECORD) / SECTOR),
            places: each,
            next: 0,
            written: 0,
            window: 0,
            read: 0,
            flushed: 0,
            bad: 0,
            buffers,
            requests: [Request::default(); MAX_SIZE as usize],
        })?;
    }
    function.start(booting.board);
    booting.place(&blk)
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let blk = Cell::<Blk>::at(cell).load(moment.board.memory())?;
    if moment.interrupted {
        blk.function.acknowledge(moment.board);
    }
    for cell in blk.cells() {
        let mut queue = cell.load(moment.board.memory())?;
        if queue.sleep.is_over(&mut queue.queue.ring, moment)? {
            queue.work(moment)?;
        }
        cell.store(&queue, moment.board.memory())?;
    }
    Ok(())
}

impl Blk {
    /// Its queues.
    pub fn cells(&self) -> impl Iterator<Item = Cell<BlkQueue>> {
        let count = usize::try_from(self.count).unwrap_or_default();
        self.queues.into_iter().take(count).map(Cell::at)
    }
}

impl BlkQueue {
    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    /// The sector at which a record is.
    #[must_use]
    pub fn sector(&self, number: u64) -> u64 {
        self.first_sector + number % self.places * (u64::from(RECORD) / SECTOR)
    }

    fn work(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        while let Some((id, _)) = self.queue.ring.take(moment.board.memory())? {
            self.done(id, moment.board)?;
        }
        while self.queue.ring.in_flight() < DEPTH {
            let request = self.choose();
            if !self.submit(request, moment.board)? {
                break;
            }
        }
        self.queue.kick(moment.board)?;
        self.sleep.begin(&mut self.queue.ring, moment)
    }

    /// What is done next: every fourth request reads a record back.
    fn choose(&self) -> Request {
        let turn = self.next + self.read + self.flushed;
        let recent = self.written.min(self.places / 2);
        if turn % 4 == 3 && recent > 0 {
            let back = turn.wrapping_mul(0x9e37_79b9) % recent;
            return Request { kind: IN.into(), number: self.written - 1 - back };
        }
        if self.next / FLUSH_EVERY > self.flushed {
            return Request { kind: FLUSH.into(), number: 0 };
        }
        Request { kind: OUT.into(), number: self.next }
    }

    fn submit(&mut self, request: Request, board: &mut dyn Board) -> Result<bool, Fault> {
        let memory = board.memory();
        // The next id tells where the request's memory is.
        let Some(id) = self.queue.ring.next_id() else { return Ok(false) };
        let at = self.buffers + STRIDE * u64::from(id);
        let kind = u32::try_from(request.kind).unwrap_or_default();
        let write = |address: u64, bytes: &[u8]| {
            memory.write_slice(bytes, GuestAddress(address)).map_err(|_| Fault::at(address))
        };
        write(at, &kind.to_le_bytes())?;
        write(at + 4, &[0; 4])?;
        write(at + 8, &self.sector(request.number).to_le_bytes())?;
        write(at + STATUS_AT, &[0xff])?;
        let header = Piece::out(at, 16);
        let status = Piece::input(at + STATUS_AT, 1);
        let added = match kind {
            OUT => {
                let stream = u32::try_from(self.stream).unwrap_or_default();
                write(at + DATA_AT, &record(stream, request.number, RECORD as usize))?;
                self.queue.ring.add(&[header, Piece::out(at + DATA_AT, RECORD), status], memory)?
            }
            IN => self.queue.ring.add(&[header, Piece::input(at + DATA_AT, RECORD), status], memory)?,
            _ => self.queue.ring.add(&[header, status], memory)?,
        };
        let Some(id) = added else { return Ok(false) };
        match kind {
            OUT => self.next += 1,
            FLUSH => self.flushed += 1,
            _ => {}
        }
        if let Some(place) = self.requests.get_mut(usize::from(id)) {
            *place = request;
        }
        Ok(true)
    }

    /// A request came back.
    fn done(&mut self, id: u16, board: &mut dyn Board) -> Result<(), Fault> {
        let memory = board.memory();
        let request = self.requests.get(usize::from(id)).copied().unwrap_or_default();
        let at = self.buffers + STRIDE * u64::from(id);
        let status: u8 =
            memory.read_obj(GuestAddress(at + STATUS_AT)).map_err(|_| Fault::at(at + STATUS_AT))?;
        let mut is_good = status == 0;
        match u32::try_from(request.kind) {
            Ok(OUT) => self.note_written(request.number),
            Ok(IN) => {
                let mut bytes = vec![0; RECORD as usize];
                memory.read_slice(&mut bytes, GuestAddress(at + DATA_AT)).map_err(|_| Fault::at(at))?;
                is_good &= check(&bytes).is_some_and(|head| {
                    u64::from(head.stream.get()) == self.stream && head.number.get() == request.number
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
