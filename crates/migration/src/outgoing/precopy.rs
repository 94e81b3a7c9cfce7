//! Pre-copy: RAM goes while the guest runs, round after round, and what is left when it is little enough goes while it
//! is stopped.
//!
//! ```text
//! setup    header, configuration, return path, START of ram (block list)
//! active   round 1: every page; further rounds: pages written since. A guest that writes faster than pages go is
//!          throttled, more with each round that gets no nearer
//! device   the guest stops: the pages that are left, END of ram, FULL of each device, EOF, description
//! ```

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use tracing::{debug_span, info, info_span};
use vmstate::Writer;
use vmstate::ram::{Block, Encoder, PageAddress};
use vmstate::stream::{Head, Kind, StreamDescription, footer};
use vmstate::vmdesc::{DeviceDesc, VmDesc};

use super::Sent;
use super::line::Line;
use super::part::Part;
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{DeviceTime, Event, Observer, Side, State};
use crate::guest::{DeviceSection, RunningGuest};
use crate::incoming::{RAM, RAM_VERSION};
use crate::ram::{Content, Page, is_zero};

/// Pages that are read and written at once.
const BATCH: usize = 256;
/// The id of RAM's sections.
const RAM_ID: u32 = 2;
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
}

impl Default for Limits {
    /// QEMU's defaults, as far as it has them.
    fn default() -> Self {
        Self { bandwidth: None, downtime: Duration::from_millis(300), auto_converge: true, rounds: 64 }
    }
}

/// A running guest that is leaving.
pub(crate) struct Precopy<'a> {
    pub(crate) guest: &'a dyn RunningGuest,
    /// What its devices were stopped with, once they are: it goes on with that if it does not get away.
    pub(crate) stopped: &'a OnceCell<Vec<DeviceSection>>,
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
}

struct Sending<'a> {
    what: &'a Precopy<'a>,
    line: Line<'a>,
    state: State,
    blocks: Vec<Block>,
    part: Part,
    page_size: usize,
    /// Pages that are to go, a bit for each, for each block.
    dirty: Vec<Vec<u64>>,
    /// Pages on their way, kept for their room.
    buffer: Vec<u8>,
}

impl Precopy<'_> {
    /// Sends it all. The guest is stopped when this returns, whatever the outcome, unless it had not come so far.
    pub(crate) fn send(&self, channel: &mut dyn std::io::Write) -> Result<Gone, Error> {
        let _span = info_span!("precopy").entered();
        let blocks = self.guest.blocks();
        let page_size = usize::try_from(self.guest.page_size()).unwrap_or(4096);
        let mut sending = Sending {
            what: self,
            line: Line::new(channel, self.counter, self.limits.bandwidth),
            state: State::Setup,
            part: Part::new(RAM_ID, &blocks),
            dirty: blocks.iter().map(|block| all_pages(block.bytes.div_ceil(page_size as u64))).collect(),
            blocks,
            page_size,
            buffer: vec![0; BATCH * page_size],
        };
        self.observer.event(Event::State { side: Side::Out, state: State::Setup });
        let gone = sending.all();
        let state = sending.state;
        gone.map_err(|cause| cause.at(Side::Out, state))
    }
}

impl Sending<'_> {
    fn all(&mut self) -> Result<Gone, Cause> {
        self.set_up()?;
        self.enter(State::Active);
        self.what.counter.start(&self.blocks, self.page_size as u64);
        self.rounds()?;
        self.enter(State::Device);
        let sections = self.what.guest.stop()?;
        let sections = self.what.stopped.get_or_init(|| sections);
        self.take_dirty();
        self.pages()?;
        let mut out = Writer::new();
        Head::More { kind: Kind::End, id: RAM_ID }.save(&mut out);
        self.line.end_section(RAM_ID, out)?;
        let ram = Instant::now();
        let device_times = self.devices(sections)?;
        self.line.flush()?;
        Ok(Gone { sent: Sent { ram, devices: Instant::now() }, device_times })
    }

    fn set_up(&mut self) -> Result<(), Cause> {
        self.line.begin(Some(&self.what.guest.configuration()), self.what.return_path)?;
        let mut out = Writer::new();
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

    /// Sends round after round, until what is left goes within the downtime.
    fn rounds(&mut self) -> Result<(), Cause> {
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
        Ok(())
    }

    /// Bytes of the pages that are to go.
    fn left(&self) -> u64 {
        let pages: u64 = self.dirty.iter().flatten().map(|word| u64::from(word.count_ones())).sum();
        pages * self.page_size as u64
    }

    fn take_dirty(&mut self) {
        for (block, dirty) in self.dirty.iter_mut().enumerate() {
            for (word, new) in dirty.iter_mut().zip(self.what.guest.take_dirty(block)) {
                *word |= new;
            }
        }
    }

    /// Sends the pages that are to go.
    fn pages(&mut self) -> Result<(), Cause> {
        for block in 0..self.blocks.len() {
            let Some(dirty) = self.dirty.get_mut(block) else { continue };
            let none = vec![0; dirty.len()];
            let bits = std::mem::replace(dirty, none);
            self.block(block, &bits)?;
        }
        self.close()
    }

    fn block(&mut self, block: usize, bits: &[u64]) -> Result<(), Cause> {
        for (first, count) in runs(bits) {
            let mut done = 0;
            while done < count {
                let pages = (count - done).min(BATCH);
                self.batch(block, (first + done as u64) * self.page_size as u64, pages)?;
                done += pages;
            }
        }
        Ok(())
    }

    /// Sends pages that lie side by side.
    fn batch(&mut self, block: usize, offset: u64, pages: usize) -> Result<(), Cause> {
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
    fn close(&mut self) -> Result<(), Cause> {
        if self.part.is_open() { self.part.end(Writer::new(), &mut self.line) } else { Ok(()) }
    }

    /// Sends the devices, the end, and the description.
    fn devices(&mut self, sections: &[DeviceSection]) -> Result<Vec<DeviceTime>, Cause> {
        let mut devices = Vec::new();
        let mut times = Vec::new();
        for (id, section) in (RAM_ID + 1..).zip(sections) {
            let started = Instant::now();
            let DeviceSection { name, instance, version, body, description, saved_in } = section;
            let (name, instance, version) = (name.clone(), *instance, *version);
            let mut out = Writer::new();
            Head::Section { kind: Kind::Full, id, name: name.clone(), instance, version }.save(&mut out);
            out.bytes(body);
            out.bytes(&footer(id));
            self.line.put(out.as_bytes())?;
            devices.push(DeviceDesc {
                name: name.clone(),
                instance_id: instance,
                size: None,
                body: description.clone(),
            });
            let transfer = started.elapsed();
            times.push(DeviceTime {
                name,
                bytes: body.len() as u64,
                transfer,
                save: Some(*saved_in),
                load: None,
            });
        }
        let mut out = Writer::new();
        Head::Eof.save(&mut out);
        let description = VmDesc { configuration: None, page_size: self.page_size as u64, devices };
        let description = StreamDescription::new(description);
        description.save_head(&mut out)?;
        out.bytes(&description.json);
        self.line.put(out.as_bytes())?;
        Ok(times)
    }

    fn enter(&mut self, state: State) {
        info!(%state, "state");
        self.state = state;
        self.what.observer.event(Event::State { side: Side::Out, state });
    }
}

/// Bits for so many pages, all set.
fn all_pages(pages: u64) -> Vec<u64> {
    let words = usize::try_from(pages.div_ceil(64)).unwrap_or_default();
    let mut bits = vec![u64::MAX; words];
    if let Some(last) = bits.last_mut()
        && !pages.is_multiple_of(64)
    {
        *last = (1 << (pages % 64)) - 1;
    }
    bits
}

/// Pages that follow one another: the first, and how many.
fn runs(bits: &[u64]) -> impl Iterator<Item = (u64, usize)> {
    let total = bits.len() * 64;
    let is_set = move |page: usize| bits.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 == 1);
    let mut next = 0;
    std::iter::from_fn(move || {
        while next < total && !is_set(next) {
            // A word without any is passed at once.
            let is_empty = next % 64 == 0 && bits.get(next / 64) == Some(&0);
            next += if is_empty { 64 } else { 1 };
        }
        let first = next;
        while next < total && is_set(next) {
            next += 1;
        }
        (next > first).then_some((first as u64, next - first))
    })
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
    fn finds_runs() {
        let runs = |bits: &[u64]| runs(bits).collect::<Vec<_>>();
        assert_eq!(runs(&[0b1101, 0, 1 << 63, 1]), [(0, 1), (2, 2), (191, 2)]);
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[u64::MAX, u64::MAX]), [(0, 128)]);
        assert_eq!(all_pages(65), [u64::MAX, 1]);
        assert_eq!(all_pages(64), [u64::MAX]);
    }

    #[test]
    fn what_goes_in_a_time() {
        assert_eq!(within(Duration::from_millis(300), 1000, Duration::from_secs(1)), 300);
        assert_eq!(within(Duration::MAX, u64::MAX, Duration::ZERO), u64::MAX);
    }
}
