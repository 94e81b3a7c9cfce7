//! Pre-copy: RAM goes while the guest runs, round after round, and what is left when it is little enough goes while it
//! is stopped.
//!
//! ```text
//! setup    header, configuration, return path, START of ram (block list)
//! active   round 1: every page; further rounds: pages written since. A guest that writes faster than pages go is
//!          throttled, more with each round that gets no nearer
//! device   the guest stops: the pages that are left, END of ram, FULL of each device, EOF, description
//! ```
//!
//! If it is to be post-copy, that is announced before RAM begins, and takes over once the guest has stopped.

use std::cell::{Cell, OnceCell};
use std::time::{Duration, Instant};

use tracing::{debug_span, info, info_span};
use vmstate::Writer;
use vmstate::ram::{Block, Encoder, PageAddress};
use vmstate::stream::{Command, Head, Kind, PageSizes};

use super::devices::device_sections;
use super::dirty::Dirty;
use super::line::Line;
use super::part::Part;
use super::{RunsThere, Sent};
use crate::channel::{ReadHalf, WriteHalf};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{DeviceTime, Event, Observer, Side, State};
use crate::guest::{DeviceSection, RunningGuest};
use crate::incoming::{RAM, RAM_VERSION};
use crate::ram::{Content, Page, is_zero};

/// Pages that are read and written at once.
pub(super) const BATCH: usize = 256;
/// The id of RAM's sections.
pub(super) const RAM_ID: u32 = 2;
/// How much a guest is throttled first, and how much more with each further round, in percent.
const THROTTLE_FIRST: u8 = 20;
const THROTTLE_MORE: u8 = 10;
const THROTTLE_MOST: u8 = 99;
/// Rounds in a row that write more than half of what went, before a guest is throttled.
const PATIENCE: u32 = 2;

/// What a live migration keeps to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes in a second.
    pub bandwidth: Option<u64>,
    /// How long the guest may be stopped, as far as RAM is concerned.
    pub downtime: Duration,
    /// Whether a guest that writes too fast is throttled. If not, it may never get there.
    pub auto_converge: bool,
    /// Rounds after which the guest is stopped whatever is left.
    pub rounds: u32,
    /// Post-copy: rounds, at least one, after which the guest is handed over and what is left follows it (QEMU:
    /// `migrate-start-postcopy`), unless little enough is left in an earlier one. `None`: never.
    pub postcopy: Option<u32>,
}

impl Default for Limits {
    /// QEMU's defaults, as far as it has them.
    fn default() -> Self {
        Self {
            bandwidth: None,
            downtime: Duration::from_millis(300),
            auto_converge: true,
            rounds: 64,
            postcopy: None,
        }
    }
}

/// A running guest that is leaving.
pub(crate) struct Precopy<'a> {
    pub(crate) guest: &'a dyn RunningGuest,
    /// What its devices were stopped with, once they are: it goes on with that if it does not get away.
    pub(crate) stopped: &'a OnceCell<Vec<DeviceSection>>,
    /// Whether the destination may run it: it must not go on here then, whatever comes.
    pub(crate) handed_over: &'a Cell<bool>,
    pub(crate) limits: Limits,
    pub(crate) return_path: bool,
    pub(crate) counter: &'a Counter,
    pub(crate) observer: &'a dyn Observer,
}

/// What was measured on the way.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    pub(crate) sent: Sent,
    pub(crate) device_times: Vec<DeviceTime>,
    /// It went by post-copy: the destination has acknowledged it already.
    pub(crate) runs_there: Option<RunsThere>,
}

pub(super) struct Sending<'a> {
    pub(super) what: &'a Precopy<'a>,
    pub(super) line: Line<'a>,
    state: State,
    pub(super) blocks: Vec<Block>,
    part: Part,
    pub(super) page_size: usize,
    pub(super) dirty: Dirty,
    /// Pages on their way, kept for their room.
    buffer: Vec<u8>,
}

impl Precopy<'_> {
    /// Sends it all. The guest is stopped when this returns, whatever the outcome, unless it had not come so far.
    /// The way back is read only if it comes to post-copy.
    pub(crate) fn send(&self, channel: &mut WriteHalf, back: &mut ReadHalf) -> Result<Gone, Error> {
        let _span = info_span!("precopy").entered();
        let blocks = self.guest.blocks();
        let page_size = usize::try_from(self.guest.page_size()).unwrap_or(4096);
        let mut sending = Sending {
            what: self,
            line: Line::new(channel, self.counter, self.limits.bandwidth),
            state: State::Setup,
            part: Part::new(RAM_ID, &blocks),
            dirty: Dirty::all(&blocks, page_size as u64),
            blocks,
            page_size,
            buffer: vec![0; BATCH * page_size],
        };
        self.observer.event(Event::State { side: Side::Out, state: State::Setup });
        let gone = sending.all(back);
        let state = sending.state;
        gone.map_err(|cause| cause.at(Side::Out, state))
    }
}

impl<'a> Sending<'a> {
    fn all(&mut self, back: &mut ReadHalf) -> Result<Gone, Cause> {
        self.set_up()?;
        self.enter(State::Active);
        self.what.counter.start(&self.blocks, self.page_size as u64);
        if self.rounds()? {
            return self.hand_over(back);
        }
        let sections = self.stop()?;
        self.pages()?;
        let mut out = Writer::new();
        Head::More { kind: Kind::End, id: RAM_ID }.save(&mut out);
        self.line.end_section(RAM_ID, out)?;
        let ram = Instant::now();
        let device_times = self.send_devices(sections, &device_sections(sections))?;
        self.describe(sections)?;
        self.line.flush()?;
        Ok(Gone { sent: Sent { ram, devices: Instant::now() }, device_times, runs_there: None })
    }

    /// Stops the guest, and gives the state of its devices. All pages that are to go are known then.
    pub(super) fn stop(&mut self) -> Result<&'a [DeviceSection], Cause> {
        self.enter(State::Device);
        let sections = self.what.guest.stop()?;
        let sections = self.what.stopped.get_or_init(|| sections);
        self.take_dirty();
        Ok(sections)
    }

    fn set_up(&mut self) -> Result<(), Cause> {
        let Limits { postcopy, .. } = self.what.limits;
        if postcopy.is_some() && !self.what.return_path {
            let text =
                "post-copy needs a channel that the destination can ask for pages on, such as tcp or unix";
            return Err(Cause::Refused(text.to_owned()));
        }
        self.line.begin(Some(&self.what.guest.configuration()), self.what.return_path)?;
        let mut out = Writer::new();
        if postcopy.is_some() {
            let page = self.page_size as u64;
            let sizes = PageSizes { blocks: page, target: page };
            Head::Command(Command::PostcopyAdvise(Some(sizes))).save(&mut out);
        }
        let ram = Head::Section {
            kind: Kind::Start,
            id: RAM_ID,
            name: RAM.to_owned(),
            instance: 0,
            version: RAM_VERSION,
        };
        ram.save(&mut out);
        Encoder::block_list(&self.blocks, &mut out);
        // What was written until now goes with the first round, which takes every page.
        for block in 0..self.blocks.len() {
            let _ = self.what.guest.take_dirty(block);
        }
        self.line.end_section(RAM_ID, out)
    }

    /// Sends round after round, until what is left goes within the downtime; whether it is to follow the guest.
    fn rounds(&mut self) -> Result<bool, Cause> {
        let mut throttled = 0_u8;
        let mut too_fast = 0;
        for round in 1..=self.what.limits.rounds {
            let _span = debug_span!("round", round, left = self.left(), throttled).entered();
            let (started, before) = (Instant::now(), self.line.gone());
            self.pages()?;
            let (took, gone) = (started.elapsed(), self.line.gone() - before);
            self.take_dirty();
            let left = self.left();
            self.what.observer.event(Event::Round { side: Side::Out, gone, left, took, throttled });
            if self.what.limits.postcopy.is_some_and(|rounds| round >= rounds) {
                return Ok(true);
            }
            if left <= within(self.what.limits.downtime, gone, took) {
                break;
            }
            too_fast = if left > gone / 2 { too_fast + 1 } else { 0 };
            if self.what.limits.auto_converge && too_fast >= PATIENCE {
                throttled = if throttled == 0 { THROTTLE_FIRST } else { throttled + THROTTLE_MORE };
                throttled = throttled.min(THROTTLE_MOST);
                self.what.guest.throttle(throttled);
                too_fast = 0;
            }
        }
        Ok(false)
    }

    /// Bytes of the pages that are to go.
    pub(super) fn left(&self) -> u64 {
        self.dirty.pages() * self.page_size as u64
    }

    fn take_dirty(&mut self) {
        for block in 0..self.blocks.len() {
            self.dirty.add(block, &self.what.guest.take_dirty(block));
        }
    }

    /// Sends the pages that are to go.
    fn pages(&mut self) -> Result<(), Cause> {
        for block in 0..self.blocks.len() {
            let mut next = 0;
            while let Some((first, count)) = self.dirty.take_run(block, next..u64::MAX, BATCH) {
                self.batch(block, first * self.page_size as u64, count)?;
                next = first + count as u64;
            }
        }
        self.close()
    }

    /// Sends pages that lie side by side, at most [`BATCH`].
    pub(super) fn batch(&mut self, block: usize, offset: u64, pages: usize) -> Result<(), Cause> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let bytes = buffer.get_mut(..pages * self.page_size).unwrap_or_default();
        self.what.guest.read(block, offset, bytes).map_err(Cause::Keep)?;
        let pages: Vec<Page<'_>> = bytes
            .chunks_exact(self.page_size)
            .zip(0..)
            .map(|(page, index): (_, u64)| {
                let at = PageAddress { block, offset: offset + index * self.page_size as u64 };
                let content = if is_zero(page) { Content::Zero } else { Content::Data(page) };
                Page { at, content }
            })
            .collect();
        self.what.counter.pages(&pages);
        let sent = self.part.batch(&pages, &mut self.line);
        drop(pages);
        self.buffer = buffer;
        sent?;
        let progress = self.what.counter.progress();
        self.what.observer.event(Event::Progress { side: Side::Out, progress });
        if self.part.is_full() { self.close() } else { Ok(()) }
    }

    /// Ends the section, if one is open.
    pub(super) fn close(&mut self) -> Result<(), Cause> {
        if self.part.is_open() { self.part.end(Writer::new(), &mut self.line) } else { Ok(()) }
    }

    pub(super) fn enter(&mut self, state: State) {
        info!(%state, "state");
        self.state = state;
        self.what.observer.event(Event::State { side: Side::Out, state });
    }
}

/// How many bytes go in a time, at the rate at which `gone` went in `took`.
fn within(time: Duration, gone: u64, took: Duration) -> u64 {
    let (time, took) = (time.as_micros(), took.as_micros().max(1));
    u64::try_from(u128::from(gone).saturating_mul(time) / took).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_a_time() {
        assert_eq!(within(Duration::from_millis(300), 1000, Duration::from_secs(1)), 300);
        assert_eq!(within(Duration::MAX, u64::MAX, Duration::ZERO), u64::MAX);
    }
}
