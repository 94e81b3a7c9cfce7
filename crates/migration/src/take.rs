//! Taking a guest from its source: everything that arrives, over however many channels, and the answers.

use std::fs::File;
use std::io::{Read, Write};
use std::thread::{self, Scope};

use vmstate::ram::Block;
use vmstate::stream::{Command, Configuration, Head};

use crate::channel::{Cancel, Channel};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Observer, Side, State};
use crate::incoming::{Incoming, PageChannels, Sink, Tail, Terms};
use crate::keep::{Mapped, MappedRam};
use crate::multifd::Receivers;
use crate::ram::RamSink;
use crate::return_path::Message;

/// A sink that also answers the source.
struct Answering<'a, S> {
    sink: S,
    back: &'a mut dyn Write,
}

/// Takes a guest into a sink, and answers the source's pings. Pages that come over `channels` go where they were told.
///
/// # Errors
/// As [`Incoming::run`], or if a channel fails.
pub(crate) fn take<S: Sink>(
    main: &mut impl Read,
    back: &mut dyn Write,
    sink: S,
    channels: &Receivers<'_>,
    terms: Terms,
    counter: &Counter,
    observer: &dyn Observer,
) -> Result<(Tail, S), Error> {
    let mut answering = Answering { sink, back };
    let taken = thread::scope(|scope| {
        let started = Started { channels, scope };
        let over_channels: Option<&dyn PageChannels> = channels.are_there().then_some(&started);
        let mut incoming = Incoming::new(main, terms, counter, observer).with_channels(over_channels);
        let taken = incoming.run(&mut answering);
        channels.finish();
        taken
    });
    // A channel that failed is the reason for whatever else went wrong.
    let tail = taken.map_err(|error| match channels.failure() {
        Some(cause) => cause.at(error.side, error.state),
        None => error,
    })?;
    Ok((tail, answering.sink))
}

/// Takes a guest into a file in which each page has its place (`mapped-ram`), and gives that file.
///
/// # Errors
/// As [`take`], or if the file does not take so much.
pub(crate) fn take_mapped(
    main: &mut impl Read,
    back: &mut dyn Write,
    file: File,
    (others, cancel): (Vec<Channel>, Cancel),
    terms: Terms,
    counter: &Counter,
    observer: &dyn Observer,
) -> Result<(Tail, File), Error> {
    let here = |cause: Cause| cause.at(Side::In, State::Device);
    let ram = MappedRam::new(file);
    let channels = Receivers::new(others, cancel, &ram, counter);
    let (tail, mapped) = take(main, back, Mapped::new(&ram), &channels, terms, counter, observer)?;
    mapped.finish(&tail).map_err(here)?;
    let file = ram.file().try_clone().map_err(Cause::Keep).map_err(here)?;
    Ok((tail, file))
}

/// Channels whose threads end with a scope.
struct Started<'scope, 'env> {
    channels: &'scope Receivers<'scope>,
    scope: &'scope Scope<'scope, 'env>,
}

impl PageChannels for Started<'_, '_> {
    fn start(&self, blocks: &[Block], page_size: u64) {
        self.channels.start(self.scope, blocks, page_size);
    }
    fn synchronise(&self) -> Result<(), Cause> {
        self.channels.synchronise()
    }
}

impl<S: Sink> Sink for Answering<'_, S> {
    fn ram(&self) -> &dyn RamSink {
        self.sink.ram()
    }
    fn start(&mut self, configuration: Option<&Configuration>) -> Result<(), Cause> {
        self.sink.start(configuration)
    }
    fn command(&mut self, command: &Command) -> Result<(), Cause> {
        if let Command::Ping(value) = command {
            Message::Pong(*value).write(&mut self.back)?;
        }
        self.sink.command(command)
    }
    fn blocks(&mut self, section: &Head, blocks: &[Block], page_size: u64) -> Result<(), Cause> {
        self.sink.blocks(section, blocks, page_size)
    }
    fn section(&mut self, head: &Head, body: &[u8]) -> Result<(), Cause> {
        self.sink.section(head, body)
    }
    fn takes_postcopy(&self) -> bool {
        self.sink.takes_postcopy()
    }
    fn package(&mut self, package: Vec<u8>) -> Result<(), Cause> {
        self.sink.package(package)
    }
    fn passed(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.sink.passed(bytes)
    }
}
