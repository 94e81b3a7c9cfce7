//! A driver for block devices (virtio 1.3 §5.2); each of its queues does the work of [`storage`](super::storage).

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::Function;
use super::ring::Piece;
use super::storage::{Kind, Part, Requests, Worker};
use super::{Cell, Fault};
use crate::ram::Memory;

/// The virtio device ID.
pub const ID: u32 = 2;

const F_FLUSH: u8 = 9;
const F_MQ: u8 = 12;
/// Fields of the configuration space (§5.2.4).
const CAPACITY: u64 = 0;
const NUM_QUEUES: u64 = 34;

/// Types of requests (§5.2.6).
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;

/// Bytes of a request's header; the status follows it.
const HEADER: u32 = 16;

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Blk {
    function: Function,
    /// How many queues it uses.
    count: u64,
    /// Guest addresses of their [`Worker`]s.
    queues: [u64; 64],
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
    let mut blk = Blk { function: *function, count, queues: [0; 64] };
    for (index, (queue, place)) in (0_u64..).zip(set_up.queues.into_iter().zip(&mut blk.queues)) {
        let part = Part::of(sectors, 0, (index, count), u64::from(function.slot) << 8 | index)
            .ok_or_else(|| function.fault(format!("its {sectors} sectors are too few for {count} queues")))?;
        let worker = Worker::new(queue, part, booting)?;
        *place = booting.place(&worker)?;
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
        let mut worker = cell.load(moment.board.memory())?;
        worker.step(&BlkRequests, moment)?;
        cell.store(&worker, moment.board.memory())?;
    }
    Ok(())
}

impl Blk {
    /// Its queues.
    pub fn cells(&self) -> impl Iterator<Item = Cell<Worker>> {
        let count = usize::try_from(self.count).unwrap_or_default();
        self.queues.into_iter().take(count).map(Cell::at)
    }
}

/// Requests as §5.2.6 has them.
struct BlkRequests;

impl Requests for BlkRequests {
    fn write(
        &self,
        kind: Kind,
        sector: u64,
        at: u64,
        data: Piece,
        memory: &Memory,
    ) -> Result<Vec<Piece>, Fault> {
        let code = match kind {
            Kind::Write => OUT,
            Kind::Read => IN,
            Kind::Flush => FLUSH,
        };
        let sector = if kind == Kind::Flush { 0 } else { sector };
        let header = [&code.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes(), &[0xff]].concat();
        memory.write_slice(&header, GuestAddress(at)).map_err(|_| Fault::at(at))?;
        let (header, status) = (Piece::out(at, HEADER), Piece::input(at + u64::from(HEADER), 1));
        Ok(match kind {
            Kind::Flush => vec![header, status],
            _ => vec![header, data, status],
        })
    }

    fn is_good(&self, at: u64, memory: &Memory) -> Result<bool, Fault> {
        let at = at + u64::from(HEADER);
        let status: u8 = memory.read_obj(GuestAddress(at)).map_err(|_| Fault::at(at))?;
        Ok(status == 0)
    }
}
