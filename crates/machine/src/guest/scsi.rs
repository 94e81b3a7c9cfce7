//! A driver for SCSI hosts with disks (virtio 1.3 §5.6): each request queue does the work of
//! [`storage`](super::storage) on a disk, and the control queue is asked again and again what a disk has to do.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{Function, Queue};
use super::ring::Piece;
use super::sleep::Sleep;
use super::storage::{Kind, Part, Requests, SECTOR, SECTORS, Worker};
use super::{Cell, Fault};
use crate::ram::Memory;

/// The virtio device ID.
pub const ID: u32 = 8;

/// Fields of the configuration space (§5.6.4).
const NUM_QUEUES: u64 = 0;
/// Targets that are looked at: a disk each, as LUN 0.
const TARGETS: u64 = 8;
/// The first request queue; before it are the control and the event queue.
const REQUESTS: usize = 2;

/// Bytes of a request with its CDB, and of a response with its sense data, as they are after a reset (§5.6.6.1).
const REQUEST: u32 = 19 + 32;
const RESPONSE: u32 = 12 + 96;
/// Where the response is behind the request, and in it the status.
const RESPONSE_AT: u32 = 64;
const STATUS_AT: u32 = 10;
/// What the driver sees that the device did not write.
const UNTOUCHED: u8 = 0xff;
const BAD_TARGET: u8 = 3;
const CHECK_CONDITION: u8 = 2;

/// Commands (SPC-4, SBC-3).
const TEST_UNIT_READY: u8 = 0;
const READ_10: u8 = 0x28;
const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const WRITE_16: u8 = 0x8a;
const READ_CAPACITY_16: [u8; 14] = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32];

/// Task management (§5.6.6.2): is there anything to do?
const QUERY_TASK_SET: u32 = 7;
const FUNCTION_SUCCEEDED: u8 = 10;

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Scsi {
    function: Function,
    /// How many request queues it uses.
    count: u64,
    /// Guest addresses of their [`Worker`]s.
    queues: [u64; 64],
    control: Queue,
    sleep: Sleep,
    /// Guest address of the control request.
    buffer: u64,
    period: u64,
    due: u64,
    /// Tasks that were asked for.
    pub tasks: u64,
    /// Answers of the control queue that make no sense.
    pub bad: u64,
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let config = *function;
    let mut set_up = function.set_up(&[], booting, |_, board| {
        REQUESTS + usize::try_from(config.config(NUM_QUEUES, 4, board)).unwrap_or(1).clamp(1, 64)
    })?;
    let mut queues = set_up.queues.split_off(REQUESTS.min(set_up.queues.len()));
    let control = set_up.queues.into_iter().next();
    let (Some(control), Some(first)) = (control, queues.first_mut()) else {
        return Err(function.fault("it has no control or request queue".to_owned()));
    };
    function.start(booting.board);
    let disks = Probe { function, buffer: booting.allocate(4096)?, queue: first }.disks(booting)?;
    let count = queues.len() as u64;
    let (buffer, period) = (booting.allocate(64)?, booting.options.period);
    let (sleep, function) = (Sleep::default(), *function);
    let mut scsi =
        Scsi { function, count, queues: [0; 64], control, sleep, buffer, period, due: 0, tasks: 0, bad: 0 };
    for (index, (queue, place)) in (0_u64..).zip(queues.into_iter().zip(&mut scsi.queues)) {
        // Queues go round over the disks, and each disk is shared by those that come to it.
        let all = disks.len() as u64;
        let turn = usize::try_from(index % all).unwrap_or_default();
        let &(target, sectors) =
            disks.get(turn).ok_or_else(|| function.fault("it has no disk".to_owned()))?;
        let shares = (count - index % all).div_ceil(all);
        let stream = u64::from(function.slot) << 8 | index;
        let part = Part::of(sectors, target, (index / all, shares), stream).ok_or_else(|| {
            function.fault(format!("the {sectors} sectors of disk {target} are too few for {shares} queues"))
        })?;
        let worker = Worker::new(queue, part, booting)?;
        *place = booting.place(&worker)?;
    }
    booting.place(&scsi)
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let cell = Cell::<Scsi>::at(cell);
    let mut scsi = cell.load(moment.board.memory())?;
    if moment.interrupted {
        scsi.function.acknowledge(moment.board);
    }
    for worker_cell in scsi.cells() {
        let mut worker = worker_cell.load(moment.board.memory())?;
        worker.step(&Commands { target: worker.part.disk }, moment)?;
        worker_cell.store(&worker, moment.board.memory())?;
    }
    scsi.ask(moment)?;
    cell.store(&scsi, moment.board.memory())
}

impl Scsi {
    /// Its queues.
    pub fn cells(&self) -> impl Iterator<Item = Cell<Worker>> + use<> {
        let count = usize::try_from(self.count).unwrap_or_default();
        self.queues.into_iter().take(count).map(Cell::at)
    }

    /// Interrupts of the control queue that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    /// Asks from time to time whether a disk has anything to do: it may have or not.
    fn ask(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        if !self.sleep.is_over(&mut self.control.ring, moment)? {
            return Ok(());
        }
        let answer_at = self.buffer + 32;
        while self.control.ring.take(moment.board.memory())?.is_some() {
            let answer: u8 =
                moment.board.memory().read_obj(GuestAddress(answer_at)).map_err(|_| Fault::at(answer_at))?;
            self.bad += u64::from(![0, FUNCTION_SUCCEEDED].contains(&answer));
            self.tasks += 1;
            self.due = moment.now + self.period;
        }
        if self.control.ring.in_flight() > 0 {
            return self.sleep.begin(&mut self.control.ring, moment);
        }
        let Some(worker) = self.cells().next() else { return Ok(()) };
        if moment.now < self.due {
            return Ok(());
        }
        let memory = moment.board.memory();
        let target = worker.load(memory)?.part.disk;
        let request = [&[0; 4][..], &QUERY_TASK_SET.to_le_bytes(), &lun(target), &[0; 8]].concat();
        write(&request, self.buffer, memory)?;
        write(&[UNTOUCHED], answer_at, memory)?;
        self.control.ring.add(&[Piece::out(self.buffer, 24), Piece::input(answer_at, 1)], memory)?;
        self.control.kick(moment.board)
    }
}

/// The address of LUN 0 of a target.
fn lun(target: u64) -> [u8; 8] {
    [1, u8::try_from(target).unwrap_or_default(), 0, 0, 0, 0, 0, 0]
}

fn write(bytes: &[u8], at: u64, memory: &Memory) -> Result<(), Fault> {
    memory.write_slice(bytes, GuestAddress(at)).map_err(|_| Fault::at(at))
}

/// Writes a request with this CDB at `at`, and gives it with its response.
fn command(target: u64, cdb: &[u8], at: u64, memory: &Memory) -> Result<[Piece; 2], Fault> {
    // lun, id, and three bytes that are zero: a simple task.
    let mut request = [&lun(target)[..], &at.to_le_bytes(), &[0; 3], cdb].concat();
    request.resize(RESPONSE_AT as usize, 0);
    request.extend([UNTOUCHED; RESPONSE as usize]);
    write(&request, at, memory)?;
    Ok([Piece::out(at, REQUEST), Piece::input(at + u64::from(RESPONSE_AT), RESPONSE)])
}

/// The status of the command at `at`, and the response of the host.
fn status(at: u64, memory: &Memory) -> Result<[u8; 2], Fault> {
    let at = at + u64::from(RESPONSE_AT + STATUS_AT);
    memory.read_obj(GuestAddress(at)).map_err(|_| Fault::at(at))
}

/// Reads and writes of a disk.
struct Commands {
    target: u64,
}

impl Requests for Commands {
    fn write(
        &self,
        kind: Kind,
        sector: u64,
        at: u64,
        data: Piece,
        memory: &Memory,
    ) -> Result<Vec<Piece>, Fault> {
        let short = u32::try_from(sector).unwrap_or(u32::MAX).to_be_bytes();
        let blocks = u8::try_from(SECTORS).unwrap_or_default();
        let cdb = match kind {
            Kind::Write => [&[WRITE_16, 0][..], &sector.to_be_bytes(), &[0, 0, 0, blocks, 0, 0]].concat(),
            Kind::Read => [&[READ_10, 0][..], &short, &[0, 0, blocks, 0]].concat(),
            Kind::Flush => vec![SYNCHRONIZE_CACHE_10],
        };
        let [request, response] = command(self.target, &cdb, at, memory)?;
        Ok(match kind {
            Kind::Write => vec![request, data, response],
            Kind::Read => vec![request, response, data],
            Kind::Flush => vec![request, response],
        })
    }

    fn is_good(&self, at: u64, memory: &Memory) -> Result<bool, Fault> {
        Ok(status(at, memory)? == [0, 0])
    }
}

/// Looks for disks, while the guest boots and nothing else is done.
struct Probe<'a> {
    function: &'a Function,
    buffer: u64,
    queue: &'a mut Queue,
}

impl Probe<'_> {
    /// The targets that have a disk, and the sectors of each.
    fn disks(mut self, booting: &mut Booting<'_>) -> Result<Vec<(u64, u64)>, Fault> {
        let mut disks = Vec::new();
        for target in 0..TARGETS {
            // The first command is told what happened before: that the power came on, say.
            let [mut status, response] = self.ask(target, &[TEST_UNIT_READY], None, booting)?;
            if response == BAD_TARGET {
                continue;
            }
            if status == CHECK_CONDITION {
                [status, _] = self.ask(target, &[TEST_UNIT_READY], None, booting)?;
            }
            let data = Piece::input(self.buffer + 1024, 32);
            let told = self.ask(target, &READ_CAPACITY_16, Some(data), booting)?;
            if (status, told) != (0, [0, 0]) {
                return Err(self.function.fault(format!("disk {target} does not say how large it is")));
            }
            let at = data.address;
            let mut capacity = [0; 12];
            booting.memory().read_slice(&mut capacity, GuestAddress(at)).map_err(|_| Fault::at(at))?;
            let [last @ .., b0, b1, b2, b3] = capacity;
            if u64::from(u32::from_be_bytes([b0, b1, b2, b3])) != SECTOR {
                return Err(self.function.fault(format!("disk {target} has blocks of another size")));
            }
            disks.push((target, u64::from_be_bytes(last) + 1));
        }
        if disks.is_empty() {
            return Err(self.function.fault("it has no disk".to_owned()));
        }
        Ok(disks)
    }

    /// Asks, and looks at once: a disk answers such commands while it is notified of them.
    fn ask(
        &mut self,
        target: u64,
        cdb: &[u8],
        data: Option<Piece>,
        booting: &mut Booting<'_>,
    ) -> Result<[u8; 2], Fault> {
        let pieces = command(target, cdb, self.buffer, booting.memory())?;
        let pieces: Vec<_> = pieces.into_iter().chain(data).collect();
        self.queue.ring.add(&pieces, booting.board.memory())?;
        self.queue.kick(booting.board)?;
        if self.queue.ring.take(booting.board.memory())?.is_none() {
            return Err(self.function.fault(format!("disk {target} does not answer")));
        }
        status(self.buffer, booting.memory())
    }
}
