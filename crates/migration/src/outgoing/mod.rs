//! A stream on its way out: each page of RAM once, then the devices, then the acknowledgement.
//!
//! What is sent is a [`Stream`] that was scanned: a file of any kind, or a guest that is held. Sections go in
//! the order in which the stream has them; RAM is put together anew, so that of a page that the stream has
//! several times only the last goes.

mod line;
mod pages;
mod precopy;

use std::io::{IoSlice, Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use vmstate::Writer;
use vmstate::ram::{Block, Encoder, Ram};
use vmstate::source::Source;
use vmstate::stream::{Command, Head, Kind, Record, Section, Stream, footer, save_start};

pub use precopy::Limits;
pub(crate) use precopy::{Gone, Precopy};

use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Event, Observer, Side, State};
use crate::keep::MAPPED_RAM;
use crate::return_path::Message;

/// The value of the first ping. It shows that the return path works.
const FIRST_PING: u32 = 1;

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

impl Outgoing<'_> {
    /// Sends it all.
    ///
    /// # Errors
    /// If the stream is not complete, cannot be read, or the channel does not take it.
    pub fn send(&self, channel: &mut dyn Write) -> Result<Sent, Error> {
        let mut sending = Sending {
            what: self,
            channel,
            state: State::Setup,
            ram_id: None,
            ram_sent: None,
            started: Instant::now(),
            gone: 0,
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
    loop {
        match Message::read(channel)? {
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
    channel: &'a mut dyn Write,
    state: State,
    /// The id of RAM's sections, once they have begun.
    ram_id: Option<u32>,
    ram_sent: Option<Instant>,
    started: Instant,
    gone: u64,
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
        let mut out = Writer::new();
        save_start(configuration.as_ref(), &mut out);
        if self.what.return_path {
            Head::Command(Command::OpenReturnPath).save(&mut out);
            Head::Command(Command::Ping(FIRST_PING)).save(&mut out);
        }
        self.put(out.as_bytes())?;
        for record in &stream.records {
            match record {
                Record::Section(section) if section.is_ram() => self.ram(section)?,
                Record::Section(section) => {
                    let mut bytes = Vec::new();
                    section.write(self.what.source, &mut bytes)?;
                    self.put(&bytes)?;
                }
                // In post-copy the devices come before the last of RAM.
                Record::Command { command: Command::Packaged { .. }, .. } => self.pages()?,
                // Those of the stream were for another destination.
                Record::Command { .. } => {}
                Record::Eof { .. } => {
                    let mut out = Writer::new();
                    Head::Eof.save(&mut out);
                    self.put(out.as_bytes())?;
                }
            }
        }
        if let Some(description) = &stream.description {
            let mut out = Writer::new();
            description.save_head(&mut out)?;
            out.bytes(&description.json);
            self.put(out.as_bytes())?;
        }
        self.channel.flush()?;
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
                self.end_section(section.id, out)
            }
            Kind::Part => self.pages(),
            Kind::End => {
                self.pages()?;
                self.enter(State::Device);
                section.head().save(&mut out);
                self.end_section(section.id, out)?;
                self.ram_sent = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// Ends a section of RAM, whose beginning is in `out`.
    fn end_section(&mut self, id: u32, mut out: Writer) -> Result<(), Cause> {
        Encoder::end_of_section(&mut out);
        out.bytes(&footer(id));
        self.put(out.as_bytes())
    }

    fn enter(&mut self, state: State) {
        if state > self.state {
            self.state = state;
            self.what.observer.event(Event::State { side: Side::Out, state });
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.put_slices(&mut [IoSlice::new(bytes)])
    }

    /// Writes slices, and waits if that was too fast.
    fn put_slices(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<(), Cause> {
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        while !slices.is_empty() {
            match self.channel.write_vectored(slices) {
                Ok(0) if slices.iter().all(|slice| slice.is_empty()) => break,
                Ok(0) => return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.what.counter.bytes(bytes as u64);
        self.pace(bytes as u64);
        Ok(())
    }

    /// Keeps to the bandwidth.
    fn pace(&mut self, bytes: u64) {
        self.gone = self.gone.saturating_add(bytes);
        if let Some(bandwidth) = self.what.bandwidth {
            #[expect(clippy::cast_precision_loss, reason = "a time, not an address")]
            let due = Duration::from_secs_f64(self.gone as f64 / bandwidth.max(1) as f64);
            sleep(due.saturating_sub(self.started.elapsed()));
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
