//! A stream as it arrives: header, RAM in as many rounds as the source likes, and the devices at its end.
//!
//! [`Incoming`] follows the stream and hands on what comes: pages to a [`RamSink`], all
//! else to a [`Sink`]. What lies behind the last of RAM, the *tail*, is device state: it is kept until all of
//! it is there, since only the description at its end says how long the sections are.
//!
//! ```text
//! setup    header, configuration, commands, START of ram (block list) and of others
//! active   PART of ram and of others, again and again
//! device   END of ram and of others │ tail: FULL of each device, EOF, description
//! ```
//!
//! By post-copy, where the sink takes it, the devices come in a package before the last of RAM:
//!
//! ```text
//! setup            …, POSTCOPY_ADVISE, …
//! active, device   RAM_DISCARD: what is out of date │ PACKAGED: LISTEN, FULL of each device, RUN
//! postcopy-active  PART and END of ram │ EOF
//! ```

mod pages;
mod postcopy;
mod tail;

use std::io::Read;

use tracing::{debug, debug_span, info, info_span};
use vmstate::ram::{Block, Decoder, Layout};
use vmstate::stream::{Command, Configuration, Following, Head, Kind, Started, footer, load_start};
use vmstate::{ErrorKind, Reader};

use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Event, Observer, Side, State};
use crate::multifd::Meetings;
use crate::ram::RamSink;
use crate::wire::Wire;

use postcopy::Postcopy;
pub(crate) use tail::LARGEST_HELD;
pub use tail::Tail;

/// The name of RAM's sections, and their version.
pub(crate) const RAM: &str = "ram";
pub(crate) const RAM_VERSION: u32 = 4;

/// Who takes what arrives, beside pages. Who wants nothing of something leaves its call out.
///
/// Every byte goes through [`passed`](Self::passed) once, after the call about what it is part of; only those
/// of the tail do not.
pub trait Sink {
    /// Where pages go.
    fn ram(&self) -> &dyn RamSink;

    /// The header and configuration.
    ///
    /// # Errors
    /// If it is not what can be taken.
    fn start(&mut self, _configuration: Option<&Configuration>) -> Result<(), Cause> {
        Ok(())
    }

    /// A command, of those that are accepted.
    ///
    /// # Errors
    /// If it cannot be obeyed.
    fn command(&mut self, _command: &Command) -> Result<(), Cause> {
        Ok(())
    }

    /// The block list, with the head of the section that it is in.
    ///
    /// # Errors
    /// If there is no room for so much.
    fn blocks(&mut self, _section: &Head, _blocks: &[Block], _page_size: u64) -> Result<(), Cause> {
        Ok(())
    }

    /// A section of something else that is sent in several parts, or of a device that comes early: its head,
    /// and its body.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn section(&mut self, _head: &Head, _body: &[u8]) -> Result<(), Cause> {
        Ok(())
    }

    /// Whether pages may come after the devices, in post-copy. Its announcement is refused if not.
    fn takes_postcopy(&self) -> bool {
        false
    }

    /// Post-copy: the package, a stream of its own without a header. Pages come while this is seen to.
    ///
    /// # Errors
    /// If it cannot be seen to.
    fn package(&mut self, _package: Vec<u8>) -> Result<(), Cause> {
        Err(Cause::Refused("a package, and nobody to take it".to_owned()))
    }

    /// What arrived, byte for byte.
    ///
    /// # Errors
    /// If it cannot be passed on.
    fn passed(&mut self, _bytes: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

/// What is accepted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    /// A source that does not open a return path, and so does not keep the guest until it has arrived.
    pub unacknowledged: bool,
    /// The most bytes of a section or of the tail.
    pub held: Option<u64>,
}

/// A stream that is arriving.
pub struct Incoming<'a, R> {
    wire: Wire<R>,
    terms: Terms,
    observer: &'a dyn Observer,
    state: State,
    following: Following,
    decoder: Option<Decoder>,
    page_size: u64,
    counter: &'a Counter,
    /// A return path was opened.
    answered: bool,
    /// RAM has ended.
    ram_ended: bool,
    postcopy: Postcopy,
    /// Pages may come over these.
    channels: Option<&'a dyn PageChannels>,
    /// When both sides meet, once the first section of RAM has shown it.
    meetings: Option<Meetings>,
}

/// Pages that come over channels of their own.
pub trait PageChannels {
    /// The block list is there: pages can be taken.
    fn start(&self, blocks: &[Block], page_size: u64);

    /// Waits until all pages that were sent before are there.
    ///
    /// # Errors
    /// If a channel failed.
    fn synchronise(&self) -> Result<(), Cause>;
}

impl<R> std::fmt::Debug for Incoming<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("state", &self.state).finish()
    }
}

impl<'a, R: Read> Incoming<'a, R> {
    /// A stream that arrives through `channel`; its pages are counted in `counter`.
    pub fn new(channel: R, terms: Terms, counter: &'a Counter, observer: &'a dyn Observer) -> Self {
        Self {
            wire: Wire::new(channel),
            terms,
            observer,
            state: State::Setup,
            following: Following::default(),
            decoder: None,
            page_size: 0,
            counter,
            answered: false,
            ram_ended: false,
            postcopy: Postcopy::default(),
            channels: None,
            meetings: None,
        }
    }

    /// Pages may come over channels of their own.
    #[must_use]
    pub fn with_channels(mut self, channels: Option<&'a dyn PageChannels>) -> Self {
        self.channels = channels;
        self
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes the stream, up to its end.
    ///
    /// # Errors
    /// If something is wrong with it, it uses what is not supported, or the sink cannot take it. Nothing is
    /// acknowledged then.
    pub fn run(&mut self, sink: &mut impl Sink) -> Result<Tail, Error> {
        let _span = info_span!("incoming").entered();
        self.observer.event(Event::State { side: Side::In, state: State::Setup });
        self.follow(sink).map_err(|cause| cause.at(Side::In, self.state))
    }

    fn follow(&mut self, sink: &mut impl Sink) -> Result<Tail, Cause> {
        let (configuration, end) = self.wire.look("the machine type", load_start)?;
        refuse_capabilities(configuration.as_ref())?;
        self.page_size = configuration.as_ref().and_then(Configuration::page_size).unwrap_or(1 << 12);
        sink.start(configuration.as_ref())?;
        self.pass(sink, end)?;
        loop {
            let (head, end) = self.wire.look("the next section", Head::load)?;
            match &head {
                Head::Command(command) => {
                    debug!(?command, "command");
                    self.obey(command, sink.takes_postcopy())?;
                    sink.command(command)?;
                    self.pass(sink, end)?;
                    if let Command::Packaged { bytes } = command {
                        self.package(sink, *bytes)?;
                    }
                }
                Head::Eof if self.ram_ended && self.postcopy == Postcopy::Active => {
                    return self.end_of_postcopy(end);
                }
                // What comes behind RAM is device state.
                Head::Eof | Head::Section { kind: Kind::Full, .. } if self.ram_ended => return self.tail(),
                Head::Eof => {
                    let text = "the end of the stream, before RAM has come";
                    return Err(self.wire.reader().fail(ErrorKind::Invalid(text.into())).into());
                }
                Head::Section { kind, id, name, instance, version } => {
                    self.must_be_answered()?;
                    let started = Started { name: name.clone(), instance: *instance, version: *version };
                    let is_ram = name == RAM;
                    if is_ram && *version != RAM_VERSION {
                        let kind = ErrorKind::Version {
                            found: *version,
                            minimum: RAM_VERSION,
                            version: RAM_VERSION,
                        };
                        return Err(self.wire.reader().fail(kind).in_scope(RAM).into());
                    }
                    if *kind == Kind::Start {
                        self.following.started.insert(*id, started);
                    }
                    if is_ram { self.ram(sink, &head, *id, end)? } else { self.other(sink, &head, *id, end)? }
                }
                Head::More { kind, id } => {
                    let Some(started) = self.following.started.get(id) else {
                        let text = format!("a further part of section {id}, which was not started");
                        return Err(self.wire.reader().fail(ErrorKind::Invalid(text.into())).into());
                    };
                    if started.name == RAM {
                        self.enter(if *kind == Kind::End { State::Device } else { State::Active });
                        self.ram(sink, &head, *id, end)?;
                        self.ram_ended |= *kind == Kind::End;
                        // Before QEMU 8.1 nothing else shows that pages went over other channels.
                        let is_blank = self.counter.progress().normal == 0 && self.channels.is_none();
                        if self.ram_ended && is_blank {
                            return Err(Cause::NoChannels);
                        }
                    } else {
                        self.other(sink, &head, *id, end)?;
                    }
                }
            }
        }
    }

    /// What a command changes here. Those that are refused are refused before any state is taken.
    fn obey(&mut self, command: &Command, takes_postcopy: bool) -> Result<(), Cause> {
        let refused = |name: &str, why| Err(Cause::Capability { name: name.to_owned(), why });
        match command {
            Command::OpenReturnPath => self.answered = true,
            Command::SwitchoverStart => self.enter(State::Device),
            Command::Ping(_) => {}
            Command::PostcopyAdvise(Some(_)) if takes_postcopy => self.advised()?,
            Command::PostcopyRamDiscard(_) | Command::Packaged { .. }
                if self.postcopy == Postcopy::Advised && self.decoder.is_some() =>
            {
                // The source's guest may run on while it says what is out of date.
                if matches!(command, Command::Packaged { .. }) {
                    self.enter(State::Device);
                }
            }
            Command::PostcopyAdvise(Some(_)) => {
                return refused(
                    "postcopy-ram",
                    "lets the guest run in two places until all its RAM is there",
                );
            }
            Command::PostcopyAdvise(None) => return refused("dirty-bitmaps", "is not supported"),
            Command::EnableColo => return refused("x-colo", "is not supported"),
            other => {
                let text = format!(
                    "the command {other:?}, which belongs to post-copy, without its announcement or out of place"
                );
                return Err(self.wire.reader().fail(ErrorKind::Invalid(text.into())).into());
            }
        }
        Ok(())
    }

    fn must_be_answered(&self) -> Result<(), Cause> {
        if self.answered || self.terms.unacknowledged { Ok(()) } else { Err(Cause::NoReturnPath) }
    }

    /// A section of RAM, whose head ends at `end`.
    fn ram(&mut self, sink: &mut impl Sink, head: &Head, id: u32, end: u64) -> Result<(), Cause> {
        let _span = debug_span!("ram", offset = self.wire.offset()).entered();
        self.pass(sink, end)?;
        let layout = Layout { postcopy: self.postcopy != Postcopy::Off, ..Layout::default() };
        self.decoder.get_or_insert_with(|| Decoder::new(self.page_size, layout));
        self.records(sink, head)?;
        if let Some(channels) = self.channels
            && *self.meetings.get_or_insert(Meetings::Section) == Meetings::Section
        {
            channels.synchronise()?;
        }
        let ((), end) = self.wire.look("the footer of a section of RAM", |input| expect_footer(input, id))?;
        self.pass(sink, end)
    }

    /// A section of something else. How long it is shows only in its footer.
    fn other(&mut self, sink: &mut impl Sink, head: &Head, id: u32, start: u64) -> Result<(), Cause> {
        let limit = self.terms.held.unwrap_or(LARGEST_HELD);
        // Nothing is taken in here, so places stay as they are.
        let offset = self.wire.offset();
        let from = start - offset;
        // What was searched once is not searched again when more has come.
        let mut unsearched = from;
        loop {
            let waiting = self.wire.waiting();
            let found = self.following.find_footer(&waiting, unsearched..u64::MAX, id)?;
            let partial = (waiting.len() as u64).saturating_sub(footer(id).len() as u64 - 1);
            unsearched = found.unwrap_or(partial.max(unsearched));
            if let Some(body_end) = found {
                let behind = body_end + footer(id).len() as u64;
                let rest = waiting.get(usize::try_from(behind).unwrap_or(usize::MAX)..).unwrap_or_default();
                if self.is_next(rest, offset + behind) {
                    let body = usize::try_from(from).ok().zip(usize::try_from(body_end).ok());
                    let body = body.and_then(|(from, to)| waiting.get(from..to)).unwrap_or_default().to_vec();
                    debug!(?head, bytes = body.len(), "section");
                    sink.section(head, &body)?;
                    return self.pass(sink, offset + behind);
                }
            }
            if waiting.len() as u64 > limit {
                return Err(Cause::TooLarge { what: "a section", limit });
            }
            self.wire.fill("the footer of a section")?;
        }
    }

    /// Whether what lies behind a footer shows that it was one: enough of it must be there.
    fn is_next(&self, bytes: &[u8], offset: u64) -> bool {
        Head::load(&mut Reader::new(bytes, offset)).is_ok()
    }

    fn enter(&mut self, state: State) {
        if state > self.state {
            info!(%state, bytes = self.wire.offset(), "state");
            self.state = state;
            self.observer.event(Event::State { side: Side::In, state });
        }
    }

    /// Hands on what has been read, up to `end`.
    fn pass(&mut self, sink: &mut impl Sink, end: u64) -> Result<(), Cause> {
        let bytes = usize::try_from(end.saturating_sub(self.wire.offset())).unwrap_or(usize::MAX);
        sink.passed(self.wire.waiting().get(..bytes).unwrap_or_default())?;
        self.wire.take_to(end);
        self.counter.bytes(bytes as u64);
        Ok(())
    }
}

fn expect_footer(input: &mut Reader<'_>, id: u32) -> vmstate::Result<()> {
    let at = input.clone();
    let found: [u8; 5] = input.array()?;
    if found == footer(id) {
        return Ok(());
    }
    Err(at.fail(ErrorKind::Footer { expected: id, found: hex::encode(found) }).in_scope(RAM))
}

/// Capabilities change how a stream is read; those that are not known here cannot be read past.
fn refuse_capabilities(configuration: Option<&Configuration>) -> Result<(), Cause> {
    let capabilities = configuration.and_then(|it| it.capabilities.as_ref());
    let Some(capability) = capabilities.and_then(|it| it.capabilities.first()) else { return Ok(()) };
    let name = String::from_utf8_lossy(&capability.name).into_owned();
    let why = match name.as_str() {
        "x-ignore-shared" => "leaves RAM out that is shared with the destination",
        "mapped-ram" => "is for files, not for channels",
        _ => "is not known here",
    };
    Err(Cause::Capability { name, why })
}
