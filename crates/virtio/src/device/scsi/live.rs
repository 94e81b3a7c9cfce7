//! A SCSI host as it runs: its queues, its configuration space, and what it stops into.

use std::collections::{BTreeMap, VecDeque};

use vm_memory::GuestMemory;

use super::address::ScsiAddress;
use super::bay::{EVENT_SIZE, ScsiBay};
use super::request::{Request, Sizes};
use super::sense::Sense;
use super::unit::{LogicalUnit, ScsiDrive};
use super::{CONTROL, EVENTS, REQUESTS, feature};
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
    pub(super) options: ScsiOptions,
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
