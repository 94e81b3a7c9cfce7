//! Taking a guest from its source: everything that arrives, and the answers.

use std::io::{Read, Write};

use vmstate::ram::Block;
use vmstate::stream::{Command, Configuration, Head};

use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::Observer;
use crate::incoming::{Incoming, Sink, Tail, Terms};
use crate::ram::RamSink;
use crate::return_path::Message;

/// A sink that also answers the source.
struct Answering<'a, S> {
    sink: S,
    back: &'a mut dyn Write,
}

/// Takes a guest into a sink, and answers the source's pings.
///
/// # Errors
/// As [`Incoming::run`].
pub(crate) fn take<S: Sink>(
    main: &mut impl Read,
    back: &mut dyn Write,
    sink: S,
    terms: Terms,
    counter: &Counter,
    observer: &dyn Observer,
) -> Result<(Tail, S), Error> {
    let mut answering = Answering { sink, back };
    let tail = Incoming::new(main, terms, counter, observer).run(&mut answering)?;
    Ok((tail, answering.sink))
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
    fn passed(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.sink.passed(bytes)
    }
}
