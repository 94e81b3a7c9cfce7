//! A SCSI host as it runs.
//!
//! Requests that move blocks stand in line, are served when the driver notifies or when the device is polled, and are
//! carried if they are not served when it stops. What a disk answers itself is answered at once, as QEMU does it:
//! of what QEMU calls emulated not everything in flight can be loaded by every QEMU.

use std::collections::{BTreeMap, VecDeque};

use vm_memory::GuestMemory;

use super::address::ScsiAddress;
use super::answer::{report_luns, sense_data};
use super::bay::{EVENT_SIZE, ScsiBay};
use super::blocks::{Failure, sense_of};
use super::command::{Command, Transfer};
use super::inquiry::{self, Peripheral};
use super::request::{Outcome, Request, Sizes};
use super::sense::Sense;
use super::unit::{Done, LogicalUnit, ScsiDrive};
use super::{CONTROL, EVENTS, REQUESTS, feature, response};
use crate::companion::Companion;
use crate::core::Features;
use crate::device::disk::ErrorPolicy;
use crate::device::no_state::Scsi;
use crate::device::{Device, DeviceState, DeviceType};
use crate::live::{Breakage, ConfigSpace, Context, InFlight, LiveDevice, Negotiated, ResumeError};
use crate::ring::Chain;

/// The last logical unit, and the last target, that a driver need look for (§5.6.4).
const MAX_LUN: u32 = 0x3fff;
const MAX_TARGET: u16 = 0xff;
const MAX_SECTORS: u32 = 0xffff;
const CMD_PER_LUN: u32 = 128;

/// How a SCSI host is set up.
#[derive(Debug, Clone)]
pub struct ScsiOptions {
    /// Request queues.
    pub queues: u16,
    /// Entries of each queue.
    pub queue_size: u16,
    /// What happens when a disk fails.
    pub on_error: ErrorPolicy,
    /// Requests that are served in one go; the others wait for the next poll.
    pub at_once: usize,
}

impl Default for ScsiOptions {
    fn default() -> Self {
        Self { queues: 1, queue_size: 128, on_error: ErrorPolicy::default(), at_once: 32 }
    }
}

/// A running SCSI host.
pub struct LiveScsi {
    options: ScsiOptions,
    pub(super) sizes: Sizes,
    pub(super) units: BTreeMap<ScsiAddress, LogicalUnit>,
    /// Requests that were taken and not returned, oldest first.
    pub(super) waiting: VecDeque<Request>,
    pub(super) bay: ScsiBay,
    /// Whether events were lost that the driver was not told of.
    pub(super) events_missed: bool,
}

impl std::fmt::Debug for LiveScsi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut device = f.debug_struct("LiveScsi");
        device.field("options", &self.options).field("disks", &self.units.keys()).finish_non_exhaustive()
    }
}

impl LiveScsi {
    /// A host with these disks. More come and go at its bay.
    #[must_use]
    pub fn new(
        drives: impl IntoIterator<Item = (ScsiAddress, ScsiDrive)>,
        bay: ScsiBay,
        options: ScsiOptions,
    ) -> Self {
        let units = drives.into_iter().map(|(address, drive)| (address, LogicalUnit::new(drive))).collect();
        let (sizes, waiting) = (Sizes::default(), VecDeque::new());
        Self { options, sizes, units, waiting, bay, events_missed: false }
    }

    /// Why disks have stopped to serve requests, if they failed and are told to wait then.
    pub fn stopped_by(&self) -> impl Iterator<Item = (ScsiAddress, &str)> {
        self.units.iter().filter_map(|(address, unit)| Some((*address, unit.stopped.as_deref()?)))
    }

    pub(super) fn has_target(&self, target: u8) -> bool {
        self.units.keys().any(|address| address.target == target)
    }

    /// Takes all that the driver offers in a request queue.
    fn take<M: GuestMemory>(&mut self, index: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let mut chains = Vec::new();
        if let Some(mut queue) = cx.queue(index)? {
            while let Some(chain) = queue.pop()? {
                chains.push(chain);
            }
        }
        for chain in chains {
            let request = Request::of(index, chain, cx.memory, &cx.negotiated, self.sizes)
                .map_err(|message| Breakage::Request { queue: index, message })?;
            let command = Command::of(request.header.cdb);
            if let Some(sense) = self.attention(&request, &command) {
                self.finish(request, Outcome::check(sense), cx)?;
            } else if self.must_wait(&request, &command) {
                self.waiting.push_back(request);
            } else {
                self.perform(request, cx)?;
            }
        }
        Ok(())
    }

    /// What the disk has to tell first.
    fn attention(&mut self, request: &Request, command: &Result<Command, Sense>) -> Option<Sense> {
        let unit = self.units.get_mut(&request.header.address?)?;
        let passes = command.as_ref().is_ok_and(Command::passes_attention);
        if passes { None } else { unit.take_attention() }
    }

    /// Whether a request that has come stands in line: those that move blocks do, and others of the medium if those
    /// before them are not done in any order, or not at all for now.
    fn must_wait(&self, request: &Request, command: &Result<Command, Sense>) -> bool {
        let (Ok(command), Some(address)) = (command, request.header.address) else { return false };
        let Some(unit) = self.units.get(&address) else { return false };
        let is_simple = |request: &Request| request.header.attribute == 0;
        let before = || self.waiting.iter().filter(|it| it.header.address == Some(address));
        let in_order = || before().any(|it| !is_simple(it) || !is_simple(request));
        command.moved_blocks().is_some() || command.is_of_medium() && (unit.stopped.is_some() || in_order())
    }

    /// Serves some of the requests that wait; whether it served any.
    fn serve<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let mut served = false;
        for _ in 0..self.options.at_once {
            let is_stopped = |request: &Request| {
                let unit = request.header.address.and_then(|address| self.units.get(&address));
                unit.is_some_and(|unit| unit.stopped.is_some())
            };
            let Some(next) = self.waiting.iter().position(|request| !is_stopped(request)) else { break };
            let Some(request) = self.waiting.remove(next) else { break };
            served |= self.perform(request, cx)?;
        }
        Ok(served)
    }

    /// Does a request and returns it; or it is the first to wait, and its disk has stopped. Gives whether it was done.
    fn perform<M: GuestMemory>(
        &mut self,
        request: Request,
        cx: &mut Context<'_, M>,
    ) -> Result<bool, Breakage> {
        let outcome = match self.outcome(&request, cx.memory) {
            Ok(outcome) => outcome,
            Err(error) => {
                let unit = request.header.address.and_then(|address| self.units.get_mut(&address));
                if let Some(unit) = unit {
                    unit.stopped = Some(error.to_string());
                }
                self.waiting.push_front(request);
                return Ok(false);
            }
        };
        self.finish(request, outcome, cx)?;
        Ok(true)
    }

    /// What becomes of a request; an error of the disk if it is to wait.
    fn outcome<M: GuestMemory>(&mut self, request: &Request, memory: &M) -> std::io::Result<Outcome> {
        let sizes = self.sizes;
        let (given, room) = (request.given(sizes), request.room(sizes));
        let Some(address) = request.header.address.filter(|address| self.has_target(address.target)) else {
            return Ok(Outcome::response(response::BAD_TARGET));
        };
        if given > 0 && room > 0 {
            // Data in both directions needs INOUT, which is not offered.
            return Ok(Outcome::response(response::FAILURE));
        }
        let command = match Command::of(request.header.cdb) {
            Ok(command) => command,
            Err(_) if !self.units.contains_key(&address) => {
                return Ok(Outcome::check(Sense::LUN_NOT_SUPPORTED));
            }
            Err(sense) => return Ok(Outcome::check(sense)),
        };
        let most = match command.transfer() {
            Some(Transfer::ToDriver(bytes)) if bytes > room => {
                return Ok(Outcome::response(response::OVERRUN));
            }
            Some(Transfer::ToDevice(bytes)) if bytes > given => {
                return Ok(Outcome::response(response::OVERRUN));
            }
            Some(Transfer::ToDriver(bytes)) => bytes,
            _ => 0,
        };
        let done = if let Command::ReportLuns { select, room } = command {
            let of_target = self.units.keys().copied().filter(|it| it.target == address.target);
            report_luns(select, room, of_target).map(Done::Answer).map_err(Failure::from)
        } else {
            match self.units.get_mut(&address) {
                Some(unit) => unit.serve(&command, request, memory, sizes),
                None => absent(&command).map(Done::Answer).map_err(Failure::from),
            }
        };
        match done {
            Ok(Done::Moved(bytes)) => Ok(Outcome::good(bytes)),
            Ok(Done::Answer(answer)) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                let answer = answer.get(..most).unwrap_or(&answer);
                // There is room for it, in memory.
                let _ = std::io::Write::write_all(&mut request.writer(memory, sizes), answer);
                Ok(Outcome::good(answer.len() as u64))
            }
            Err(Failure::Check(sense)) => Ok(Outcome::check(sense)),
            Err(Failure::Disk(error)) if self.options.on_error == ErrorPolicy::Stop => Err(error),
            Err(Failure::Disk(error)) => Ok(Outcome::check(sense_of(&error, &command))),
        }
    }

    /// Returns a request.
    fn finish<M: GuestMemory>(
        &self,
        request: Request,
        outcome: Outcome,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        let written = request.respond(&outcome, cx.memory, cx.negotiated.endianness, self.sizes);
        if let Some(mut queue) = cx.queue(request.queue)? {
            queue.push(request.chain, written)?;
            queue.signal()?;
        }
        Ok(())
    }

    /// Returns requests that wait, undone.
    pub(super) fn end<M: GuestMemory>(
        &mut self,
        which: impl Fn(&Request) -> bool,
        outcome: Outcome,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        let (ended, rest) = self.waiting.drain(..).partition::<VecDeque<_>, _>(|request| which(request));
        self.waiting = rest;
        ended.into_iter().try_for_each(|request| self.finish(request, outcome, cx))
    }
}

/// What a target says of a logical unit that it has not (SPC-4 §6.6.1).
fn absent(command: &Command) -> Result<Vec<u8>, Sense> {
    match *command {
        Command::Inquiry { page: None, .. } => Ok(inquiry::standard(Peripheral::Absent)),
        Command::RequestSense { in_descriptors, .. } => {
            Ok(sense_data(Sense::LUN_NOT_SUPPORTED, in_descriptors))
        }
        _ => Err(Sense::LUN_NOT_SUPPORTED),
    }
}

impl<M: GuestMemory> LiveDevice<M> for LiveScsi {
    fn device_type(&self) -> &'static DeviceType {
        const { &Scsi::TYPE }
    }

    fn features(&self) -> Features {
        [feature::HOTPLUG, feature::CHANGE].into_iter().collect()
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![self.options.queue_size; REQUESTS + usize::from(self.options.queues)]
    }

    fn config(&self, negotiated: &Negotiated) -> Vec<u8> {
        let endianness = negotiated.endianness;
        ConfigSpace::new(endianness)
            .u32(self.options.queues.into())
            .u32(u32::from(self.options.queue_size).saturating_sub(2)) // seg_max
            .u32(MAX_SECTORS)
            .u32(CMD_PER_LUN)
            .u32(EVENT_SIZE)
            .bytes(&self.sizes.to_config(endianness))
            .u16(0) // max_channel
            .u16(MAX_TARGET)
            .u32(MAX_LUN)
            .into_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8], cx: &mut Context<'_, M>) {
        self.sizes.write(offset, data, cx.negotiated.endianness);
    }

    fn resume_config(&mut self, config: &[u8], negotiated: &Negotiated) {
        self.sizes.take(config, negotiated.endianness);
    }

    fn notify(&mut self, queue: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        match queue {
            CONTROL => self.serve_control(cx),
            EVENTS => self.tell_missed(cx),
            _ => {
                self.take(queue, cx)?;
                self.serve(cx).map(drop)
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        Ok(self.change(cx)? | self.serve(cx)?)
    }

    fn reset(&mut self) {
        self.waiting.clear();
        self.sizes = Sizes::default();
        self.events_missed = false;
        self.units.values_mut().for_each(|unit| unit.reset(Sense::POWER_ON));
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        self.units.values_mut().for_each(|unit| unit.stopped = None);
        self.waiting.drain(..).map(|request| (request.queue, request.chain)).collect()
    }

    fn state(&mut self, in_flight: Vec<InFlight>, cx: &Context<'_, M>) -> DeviceState {
        self.carry(in_flight, cx);
        DeviceState::Scsi(Scsi {})
    }

    fn resume(&mut self, state: DeviceState, _: &mut Context<'_, M>) -> Result<(), ResumeError> {
        match state {
            DeviceState::Scsi(Scsi {}) => Ok(()),
            other => Err(ResumeError::other_type(other.device_type(), const { &Scsi::TYPE })),
        }
    }

    fn companions(&self) -> Vec<(String, Companion)> {
        self.sections()
    }

    fn resume_companion(
        &mut self,
        address: &str,
        companion: Companion,
        cx: &mut Context<'_, M>,
    ) -> Result<(), ResumeError> {
        self.take_up(address, companion, cx)
    }
}
