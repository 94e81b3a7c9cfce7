//! A stream on its way out: each page of RAM once, then the devices, then the acknowledgement.
//!
//! What is sent is a [`Stream`] that was scanned: a file of any kind, or a guest that is held. Sections go in
//! the order in which the stream has them; RAM is put together anew, so that of a page that the stream has
//! several times only the last goes.

mod devices;
mod dirty;
mod line;
mod pages;
mod part;
mod postcopy;
mod precopy;

use std::io::{Read, Write};
use std::time::Instant;

use tracing::{debug, info, info_span};
use vmstate::Writer;
use vmstate::ram::{Block, Encoder, Ram};
use vmstate::source::Source;
use vmstate::stream::{Command, Configuration, Head, Kind, Record, Section, Stream};

pub use precopy::Limits;
pub(crate) use precopy::{Gone, Precopy};

use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Event, Late, Observer, Side, State};
use crate::keep::MAPPED_RAM;
use crate::multifd::{Compression, Meetings, Senders};
use crate::return_path::Message;
use line::Line;

/// How a stream goes out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The most bytes in a second, over all channels.
    pub bandwidth: Option<u64>,
    /// How pages that go over channels of their own are compressed.
    pub compression: Compression,
}

/// A stream that goes out.
pub struct Outgoing<'a> {
    /// What is sent.
    pub stream: &'a Stream,
    /// Where it was scanned.
    pub source: &'a dyn Source,
    /// Whether the destination is to answer.
    pub return_path: bool,
    /// The most bytes in a second.
    pub bandwidth: Option<u64>,
    /// Counts what goes.
    pub counter: &'a Counter,
    /// Is told how far it is.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("bandwidth", &self.bandwidth).finish_non_exhaustive()
    }
}

/// When what had gone.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// The last of RAM.
    pub ram: Instant,
    /// The last of all.
    pub devices: Instant,
}

/// Post-copy: the guest runs at the destination since then, and what it lacked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunsThere {
    pub(crate) since: Instant,
    pub(crate) late: Late,
}

impl Outgoing<'_> {
    /// Sends it all.
    ///
    /// # Errors
    /// If the stream is not complete, cannot be read, or the channel does not take it.
    pub(crate) fn send(&self, channel: &mut dyn Write, senders: Option<Senders<'_>>) -> Result<Sent, Error> {
        let _span = info_span!("outgoing").entered();
        let machine = self.stream.configuration.as_ref().map(Configuration::machine).unwrap_or_default();
        let mut sending = Sending {
            what: self,
            line: Line::new(channel, self.counter, self.bandwidth),
            state: State::Setup,
            ram_id: None,
            ram_sent: None,
            senders,
            meetings: Meetings::of_machine(&machine),
            buffer: Vec::new(),
        };
        self.observer.event(Event::State { side: Side::Out, state: State::Setup });
        let sent = sending.all();
        let state = sending.state;
        sent.map_err(|cause| cause.at(Side::Out, state))
    }
}

/// Waits until the destination says that it has the guest.
///
/// # Errors
/// If it says that it has not, or goes away.
pub fn await_acknowledgement(channel: &mut impl Read) -> Result<(), Cause> {
    let _span = info_span!("acknowledgement").entered();
    loop {
        let message = Message::read(channel)?;
        debug!(?message, "return path");
        match message {
            Some(Message::Shut(0)) => return Ok(()),
            Some(Message::Shut(value)) => return Err(Cause::NotTaken { value }),
            Some(Message::Pong(_) | Message::SwitchoverAck) => {}
            Some(other) => return Err(Cause::ReturnPath(format!("{other:?}, and there is no post-copy"))),
            None => return Err(Cause::NotAcknowledged),
        }
    }
}

struct Sending<'a> {
    what: &'a Outgoing<'a>,
    line: Line<'a>,
    state: State,
    /// The id of RAM's sections, once they have begun.
    ram_id: Option<u32>,
    ram_sent: Option<Instant>,
    /// Pages with content go over these, if there are any.
    senders: Option<Senders<'a>>,
    /// When the destination waits for them.
    meetings: Meetings,
    /// Pages on their way, kept for their room.
    buffer: Vec<u8>,
}

impl Sending<'_> {
    fn all(&mut self) -> Result<Sent, Cause> {
        let stream = self.what.stream;
        if !stream.is_complete() {
            return Err(Cause::Refused("the stream is not complete, and so no guest".to_owned()));
        }
        let mut configuration = stream.configuration.clone();
        if let Some(configuration) = &mut configuration {
            configuration.set_capability(MAPPED_RAM, false);
        }
        self.line.begin(configuration.as_ref(), self.what.return_path)?;
        for record in &stream.records {
            match record {
                Record::Section(section) if section.is_ram() => self.ram(section)?,
                Record::Section(section) => {
                    debug!(name = section.name, bytes = section.body_bytes, "section");
                    let mut bytes = Vec::new();
                    section.write(self.what.source, &mut bytes)?;
                    self.line.put(&bytes)?;
                }
                // In post-copy the devices come before the last of RAM.
                Record::Command { command: Command::Packaged { .. }, .. } => self.pages()?,
                // Those of the stream were for another destination.
                Record::Command { .. } => {}
                Record::Eof { .. } => {
                    let mut out = Writer::new();
                    Head::Eof.save(&mut out);
                    self.line.put(out.as_bytes())?;
                }
            }
        }
        if let Some(description) = &stream.description {
            let mut out = Writer::new();
            description.save_head(&mut out)?;
            out.bytes(&description.json);
            self.line.put(out.as_bytes())?;
        }
        self.line.flush()?;
        let now = Instant::now();
        Ok(Sent { ram: self.ram_sent.unwrap_or(now), devices: now })
    }

    /// A section of RAM of the stream: its first becomes the block list, its last ends RAM.
    fn ram(&mut self, section: &Section) -> Result<(), Cause> {
        let mut out = Writer::new();
        match section.kind {
            Kind::Start | Kind::Full => {
                self.ram_id = Some(section.id);
                section.head().save(&mut out);
                let blocks: Vec<_> = self.what.stream.ram.iter().flat_map(|ram| &ram.blocks).collect();
                Encoder::block_list(&blocks.into_iter().map(unmapped).collect::<Vec<_>>(), &mut out);
                self.meet(true, &mut out)?;
                self.line.end_section(section.id, out)
            }
            Kind::Part => self.pages(),
            Kind::End => {
                self.pages()?;
                self.enter(State::Device);
                section.head().save(&mut out);
                self.meet(true, &mut out)?;
                self.line.end_section(section.id, out)?;
                if let Some(senders) = self.senders.take() {
                    senders.finish()?;
                }
                self.ram_sent = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// Has the destination wait for the pages that went over other channels, where it expects that: at the ends of
    /// RAM, or of every section.
    fn meet(&mut self, is_end: bool, out: &mut Writer) -> Result<(), Cause> {
        let Some(senders) = &self.senders else { return Ok(()) };
        match self.meetings {
            Meetings::Section => senders.synchronise(),
            Meetings::Flush if is_end => {
                Encoder::multifd_flush(out);
                senders.synchronise()
            }
            Meetings::Flush => Ok(()),
        }
    }

    fn enter(&mut self, state: State) {
        if state > self.state {
            info!(%state, "state");
            self.state = state;
            self.what.observer.event(Event::State { side: Side::Out, state });
        }
    }

    fn report(&self) {
        self.what.observer.event(Event::Progress { side: Side::Out, progress: self.what.counter.progress() });
    }

    fn stream_ram(&self) -> Option<&Ram> {
        self.what.stream.ram.as_ref()
    }
}

/// A block of a stream that is sent: its pages have no places.
fn unmapped(block: &Block) -> Block {
    let mut block = block.clone();
    block.mapped = None;
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_last_word() {
        let mut wire = Vec::new();
        Message::Pong(1).write(&mut wire).unwrap();
        assert!(matches!(await_acknowledgement(&mut wire.as_slice()), Err(Cause::NotAcknowledged)));
        let mut refused = wire.clone();
        Message::Shut(1).write(&mut refused).unwrap();
        assert!(matches!(await_acknowledgement(&mut refused.as_slice()), Err(Cause::NotTaken { value: 1 })));
        Message::Shut(0).write(&mut wire).unwrap();
        assert!(await_acknowledgement(&mut wire.as_slice()).is_ok());
    }
}
