//! Taking pages from multifd channels: a thread for each.

use std::io::{self, Read};
use std::thread::Scope;

use parking_lot::Mutex;
use vmstate::ram::{Block, PageAddress};

use super::compression::{Compression, Inflater};
use super::meeting::Meeting;
use super::packet::{Initial, KIND, Packet, flag, packet_bytes};
use crate::channel::{Cancel, Channel, Patience, ReadHalf};
use crate::count::Counter;
use crate::error::Cause;
use crate::ram::{Content, Page, RamSink};

/// The channels of a guest that arrives.
pub(crate) struct Receivers<'a> {
    meeting: Meeting,
    /// Breaks off everything with the source: the main channel may wait for what a broken one keeps it from sending.
    cancel: Cancel,
    /// Each breaks one of the channels off.
    breakers: Mutex<Vec<Cancel>>,
    ram: &'a dyn RamSink,
    counter: &'a Counter,
    count: usize,
    channels: Mutex<Vec<Channel>>,
    /// The numbers of those that have said which they are.
    known: Mutex<Vec<u8>>,
}

impl<'a> Receivers<'a> {
    /// Channels that are there and not looked at yet. `cancel` is that of all channels of the source.
    pub(crate) fn new(
        channels: Vec<Channel>,
        cancel: Cancel,
        ram: &'a dyn RamSink,
        counter: &'a Counter,
    ) -> Self {
        let (count, meeting) = (channels.len(), Meeting::new());
        Self {
            meeting,
            cancel,
            breakers: Mutex::default(),
            ram,
            counter,
            count,
            channels: channels.into(),
            known: Mutex::default(),
        }
    }

    /// No channels but the main one.
    pub(crate) fn none(ram: &'a dyn RamSink, counter: &'a Counter) -> Self {
        Self::new(Vec::new(), Cancel::new(), ram, counter)
    }

    /// Whether there are any.
    pub(crate) fn are_there(&self) -> bool {
        self.count > 0
    }

    /// The block list is there: pages can be taken.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        blocks: &[Block],
        page_size: u64,
    ) {
        for channel in std::mem::take(&mut *self.channels.lock()) {
            let blocks = blocks.to_vec();
            let (mut read, write) = channel.split();
            self.breakers.lock().push(read.breaker());
            scope.spawn(move || {
                // The other half is kept: the source would see the channel end.
                let _write = write;
                let mut receiver = Receiver {
                    channel: read,
                    blocks,
                    page_size,
                    inflater: None,
                    all: self,
                    head: vec![0; packet_bytes(page_size)],
                    content: Vec::new(),
                    pages: Vec::new(),
                };
                if let Err(cause) = receiver.run() {
                    self.meeting.fail(cause);
                    self.cancel.cancel();
                }
            });
        }
    }

    /// Waits until all that was sent before is here.
    pub(crate) fn synchronise(&self) -> Result<(), Cause> {
        if self.are_there() { self.meeting.hold(self.count, &self.cancel) } else { Ok(()) }
    }

    /// No more pages come. Channels that have nothing are given up.
    pub(crate) fn finish(&self) {
        self.meeting.end();
        self.breakers.lock().iter().for_each(Cancel::cancel);
    }

    /// Why a channel failed: the reason for whatever else went wrong.
    pub(crate) fn failure(&self) -> Option<Cause> {
        self.meeting.failure()
    }
}

/// A channel that pages come over.
struct Receiver<'a> {
    channel: ReadHalf,
    blocks: Vec<Block>,
    page_size: u64,
    /// Once it is known how the pages are compressed.
    inflater: Option<(Compression, Inflater)>,
    all: &'a Receivers<'a>,
    /// Kept for their room.
    head: Vec<u8>,
    content: Vec<u8>,
    pages: Vec<u8>,
}

impl Receiver<'_> {
    fn run(&mut self) -> Result<(), Cause> {
        let Initial { channel, .. } = Initial::read(&mut self.channel)?;
        let _span = tracing::debug_span!("channel", channel).entered();
        let at = |what: String| Cause::Multifd(format!("channel {channel}: {what}"));
        if usize::from(channel) >= self.all.count {
            return Err(at(format!("there are {} channels, expected a number below that", self.all.count)));
        }
        let mut known = self.all.known.lock();
        if known.contains(&channel) {
            return Err(at("there are two of it".to_owned()));
        }
        known.push(channel);
        drop(known);
        // A channel may have nothing for as long as the guest runs.
        self.channel.set_patience(Patience::ENDLESS);
        let mut has_met = false;
        loop {
            let mut kind = [0; KIND];
            let is_there = match self.read_whole(&mut kind) {
                Ok(is_there) => is_there,
                // Nothing was left to come.
                Err(_) if self.all.meeting.is_over() => return Ok(()),
                Err(error) => return Err(error),
            };
            if !is_there {
                if has_met || self.all.meeting.is_over() {
                    self.all.meeting.leave();
                    return Ok(());
                }
                return Err(at("it was closed before RAM was complete".to_owned()));
            }
            let flags = Packet::kind(&kind).map_err(at)?;
            if flags & flag::DEVICE_STATE != 0 {
                let what =
                    "device state comes over it (multifd-device-state), which is not supported".to_owned();
                return Err(at(what));
            }
            let packet = self.packet(&kind).map_err(at)?;
            self.take(&packet).map_err(at)?;
            has_met = flags & flag::SYNC != 0;
            if has_met && !self.all.meeting.attend(&self.all.cancel) {
                return Ok(());
            }
        }
    }

    /// Reads the rest of a packet, and its content.
    fn packet(&mut self, kind: &[u8; KIND]) -> Result<Packet, String> {
        let (first, rest) = self.head.split_at_mut(KIND);
        first.copy_from_slice(kind);
        let closed = |error: io::Error| format!("a packet is cut: {error}");
        self.channel.read_exact(rest).map_err(closed)?;
        let packet = Packet::load(&self.head, self.page_size)?;
        // What it says of content means nothing without pages.
        let bytes = if packet.normal.is_empty() { 0 } else { packet.content };
        // Compression makes random pages a little longer.
        let most = 2 * (packet.normal.len() as u64 * self.page_size) + 4096;
        if u64::from(bytes) > most {
            return Err(format!("a packet has {bytes} bytes of content, at most {most}"));
        }
        self.content.resize(usize::try_from(bytes).unwrap_or_default(), 0);
        self.channel.read_exact(&mut self.content).map_err(closed)?;
        self.all.counter.bytes((self.head.len() + self.content.len()) as u64);
        Ok(packet)
    }

    /// Hands on the pages of a packet.
    fn take(&mut self, packet: &Packet) -> Result<(), String> {
        let compression = Compression::of_flags(packet.flags)?;
        if packet.normal.is_empty() && packet.zero.is_empty() {
            return Ok(());
        }
        let block = self.blocks.iter().position(|block| block.name == packet.block);
        let Some((index, block)) = block.and_then(|index| Some((index, self.blocks.get(index)?))) else {
            return Err(format!("a packet has pages of the block {}, which is not there", packet.block));
        };
        for &offset in packet.normal.iter().chain(&packet.zero) {
            if offset % self.page_size != 0 || offset >= block.bytes {
                let (name, bytes) = (&block.name, block.bytes);
                return Err(format!("a page at {offset:#x} of the block {name}, which has {bytes:#x} bytes"));
            }
        }
        let bytes = packet.normal.len() * usize::try_from(self.page_size).unwrap_or_default();
        self.pages.resize(bytes, 0);
        if !packet.normal.is_empty() {
            let inflater = match &mut self.inflater {
                Some((known, inflater)) if *known == compression => inflater,
                Some((known, _)) => return Err(format!("it changes from {known} to {compression}")),
                none => &mut none.insert((compression, Inflater::new(compression)?)).1,
            };
            inflater.inflate(&self.content, &mut self.pages)?;
        }
        let at = |offset: &u64| PageAddress { block: index, offset: *offset };
        let size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        let normal = packet.normal.iter().zip(self.pages.chunks_exact(size));
        let normal = normal.map(|(offset, bytes)| Page { at: at(offset), content: Content::Data(bytes) });
        let zero = packet.zero.iter().map(|offset| Page { at: at(offset), content: Content::Zero });
        let pages: Vec<Page<'_>> = normal.chain(zero).collect();
        self.all.counter.pages(&pages);
        self.all.ram.pages(&pages).map_err(|error| format!("cannot keep what arrived: {error}"))
    }

    /// Fills `buffer`; `false` if the channel ends before its first byte.
    fn read_whole(&mut self, buffer: &mut [u8]) -> Result<bool, Cause> {
        let Some((first, rest)) = buffer.split_at_mut_checked(1) else { return Ok(true) };
        if self.channel.read(first)? == 0 {
            return Ok(false);
        }
        self.channel.read_exact(rest)?;
        Ok(true)
    }
}
