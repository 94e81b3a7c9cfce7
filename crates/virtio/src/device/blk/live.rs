//! A block device as it runs.
//!
//! Requests are taken when the driver notifies, and served then or when the device is polled; those that are not yet
//! served when it stops are carried in its state, as are those that failed under [`ErrorPolicy::Stop`].

use std::collections::{BTreeSet, VecDeque};

use vm_memory::GuestMemory;
use vmstate::types::List;

use super::request::{self, Failure, Header, status};
use super::tally::Tally;
use super::{Blk, BlkRequest, feature};
use crate::core::Features;
use crate::device::disk::{Disk, ErrorPolicy};
use crate::device::{Device, DeviceState, DeviceType};
use crate::live::{Breakage, ConfigSpace, Context, InFlight, LiveDevice, Negotiated, ResumeError};
use crate::ring::Chain;
use crate::shape::Switches;

/// Where the driver chooses between write-back and write-through (§5.2.4).
const WRITEBACK: usize = 32;

/// How a block device is set up.
#[derive(Debug, Clone)]
pub struct BlkOptions {
    /// Request queues.
    pub queues: u16,
    /// Entries of each.
    pub queue_size: u16,
    /// What the disk says it is called, up to 20 bytes.
    pub serial: String,
    /// What happens when the disk fails.
    pub on_error: ErrorPolicy,
    /// Requests that are served in one go; the others wait for the next poll.
    pub at_once: usize,
    /// Whether it stands in for a device elsewhere: what only that one can answer (its serial number, types of
    /// requests that are not known here) is left in flight for it.
    pub stands_in: bool,
    /// The queues of which the last request, once it is done, is left in flight too: the device elsewhere does it again,
    /// and interrupts the driver, which then finds all that was returned. If there are any, nothing is served before
    /// the device is polled.
    pub repeats_last: BTreeSet<usize>,
    /// Properties of that device that change the layout of its state.
    pub switches: Switches,
}

impl Default for BlkOptions {
    fn default() -> Self {
        Self {
            queues: 1,
            queue_size: 128,
            serial: String::new(),
            on_error: ErrorPolicy::default(),
            at_once: 32,
            stands_in: false,
            repeats_last: BTreeSet::new(),
            switches: Switches::default(),
        }
    }
}

/// A running block device.
pub struct LiveBlk {
    disk: Box<dyn Disk>,
    options: BlkOptions,
    /// Requests that were taken and not returned, oldest first, with their queues.
    waiting: VecDeque<(usize, Chain)>,
    /// Requests that are left to another device, oldest first.
    left: Vec<(usize, Chain)>,
    tally: Tally,
    /// Why the first of them could not be served, if it could not.
    stopped: Option<String>,
    writeback: bool,
}

impl std::fmt::Debug for LiveBlk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveBlk").field("options", &self.options).finish_non_exhaustive()
    }
}

impl LiveBlk {
    /// A block device whose data is on `disk`.
    #[must_use]
    pub fn new(disk: Box<dyn Disk>, options: BlkOptions) -> Self {
        let (waiting, left, tally) = (VecDeque::new(), Vec::new(), Tally::default());
        Self { disk, options, waiting, left, tally, stopped: None, writeback: true }
    }

    /// What it has done so far, to be looked at while it runs.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Why the device has stopped to serve requests, if its disk failed and it is told to wait then.
    #[must_use]
    pub fn stopped_by(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Takes all that the driver offers in a queue.
    fn take<M: GuestMemory>(&mut self, index: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let Some(mut queue) = cx.queue(index)? else { return Ok(()) };
        while let Some(chain) = queue.pop()? {
            if let Some(message) = request::malformed(&chain) {
                return Err(Breakage::Request { queue: index, message });
            }
            self.waiting.push_back((index, chain));
        }
        Ok(())
    }

    /// Serves some of the requests that wait; whether it did anything.
    fn serve<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        if self.stopped.is_some() {
            return Ok(false);
        }
        let endianness = cx.negotiated.endianness;
        let mut served = Vec::new();
        let mut did = false;
        for _ in 0..self.options.at_once {
            let Some((index, chain)) = self.waiting.pop_front() else { break };
            let serial = &self.options.serial;
            let header = Header::read(&chain, cx.memory, endianness);
            if self.options.stands_in && header.as_ref().is_ok_and(|header| !header.is_answered_alike()) {
                self.tally.leave();
                self.left.push((index, chain));
                did = true;
                continue;
            }
            let name = header.as_ref().ok().and_then(|header| header.name());
            let done = header.map_err(Failure::Disk).and_then(|header| {
                request::serve(header, &chain, cx.memory, endianness, serial, &mut *self.disk)
            });
            let (status, data) = match done {
                Ok(data) if self.writeback || self.disk.flush().is_ok() => (status::OK, data),
                Ok(_) => (status::IOERR, 0),
                Err(Failure::Status(status)) => (status, 0),
                Err(Failure::Disk(error)) if self.options.on_error == ErrorPolicy::Stop => {
                    self.tally.fail(&error);
                    self.stopped = Some(error.to_string());
                    self.waiting.push_front((index, chain));
                    break;
                }
                Err(Failure::Disk(_)) => (status::IOERR, 0),
            };
            self.tally.serve(index, name.unwrap_or("unknown"));
            did = true;
            if self.options.repeats_last.contains(&index)
                && !self.waiting.iter().any(|(other, _)| *other == index)
            {
                self.tally.repeat();
                self.left.push((index, chain));
                continue;
            }
            let written = request::finish(&chain, cx.memory, status, data);
            if let Some(mut queue) = cx.queue(index)? {
                queue.push(chain, written)?;
            }
            if !served.contains(&index) {
                served.push(index);
            }
        }
        for &index in &served {
            if let Some(mut queue) = cx.queue(index)? {
                queue.signal()?;
            }
        }
        Ok(did)
    }
}

impl<M: GuestMemory> LiveDevice<M> for LiveBlk {
    fn device_type(&self) -> &'static DeviceType {
        const { &Blk::TYPE }
    }

    fn features(&self) -> Features {
        let bits = [
            (true, feature::SEG_MAX),
            (true, feature::BLK_SIZE),
            (true, feature::FLUSH),
            (true, feature::CONFIG_WCE),
            (self.disk.is_read_only(), feature::RO),
            (self.options.queues > 1, feature::MQ),
            (!self.disk.is_read_only(), feature::DISCARD),
            (!self.disk.is_read_only(), feature::WRITE_ZEROES),
        ];
        bits.into_iter().filter_map(|(is_on, bit)| is_on.then_some(bit)).collect()
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![self.options.queue_size; self.options.queues.into()]
    }

    fn switches(&self) -> Switches {
        self.options.switches
    }

    fn config(&self, negotiated: &Negotiated) -> Vec<u8> {
        let most = request::MOST_SECTORS;
        let segments = request::MOST_SEGMENTS;
        ConfigSpace::new(negotiated.endianness)
            .u64(self.disk.sectors())
            .u32(0) // size_max
            .u32(u32::from(self.options.queue_size).saturating_sub(2)) // seg_max
            .bytes(&[0; 4]) // geometry
            .u32(512) // blk_size
            .bytes(&[0; 8]) // topology
            .u8(self.writeback.into())
            .u8(0)
            .u16(self.options.queues)
            .u32(most) // max_discard_sectors
            .u32(segments) // max_discard_seg
            .u32(1) // discard_sector_alignment
            .u32(most) // max_write_zeroes_sectors
            .u32(segments) // max_write_zeroes_seg
            .u8(1) // write_zeroes_may_unmap
            .bytes(&[0; 3])
            .into_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8], cx: &mut Context<'_, M>) {
        if let (WRITEBACK, [value], true) = (offset, data, cx.has(feature::CONFIG_WCE)) {
            self.writeback = *value != 0;
        }
    }

    fn driver_ok(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        // A driver that does not know how to flush must not have to (§5.2.5.2).
        if !cx.has(feature::FLUSH) && !cx.has(feature::CONFIG_WCE) {
            self.writeback = false;
        }
        Ok(())
    }

    fn notify(&mut self, queue: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        self.take(queue, cx)?;
        // Which request of a queue is the last shows when all are taken.
        if self.options.repeats_last.is_empty() { self.serve(cx).map(drop) } else { Ok(()) }
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        self.serve(cx)
    }

    fn reset(&mut self) {
        self.waiting.clear();
        self.left.clear();
        self.stopped = None;
        self.writeback = true;
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        self.stopped = None;
        self.left.drain(..).chain(self.waiting.drain(..)).collect()
    }

    fn state(&mut self, in_flight: Vec<InFlight>, _: &Context<'_, M>) -> DeviceState {
        let is_many = self.options.queues > 1;
        let request = |InFlight { queue, element }: InFlight| BlkRequest {
            queue: is_many.then(|| u32::try_from(queue).unwrap_or_default()),
            element,
        };
        DeviceState::Blk(Blk { requests: List(in_flight.into_iter().map(request).collect()) })
    }

    fn resume(&mut self, state: DeviceState, cx: &mut Context<'_, M>) -> Result<(), ResumeError> {
        let DeviceState::Blk(Blk { requests }) = state else {
            return Err(ResumeError::other_type(state.device_type(), const { &Blk::TYPE }));
        };
        self.writeback = cx.has(feature::FLUSH) || cx.has(feature::CONFIG_WCE);
        for BlkRequest { queue, element } in requests.0 {
            let queue = usize::try_from(queue.unwrap_or(0)).unwrap_or(usize::MAX);
            let chain = cx.resume(queue, &element)?;
            self.waiting.push_back((queue, chain));
        }
        Ok(())
    }
}
