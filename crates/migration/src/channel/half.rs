//! The two halves of a channel, each for a thread of its own.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;

use super::exec::Running;
use super::link::Link;
use super::tls::Session;
use super::wait::Turn;
use super::{Cancel, Doing, Error, Patience, Settings};

/// How bytes go one way.
#[derive(Debug)]
pub(super) enum Way {
    /// As they are.
    Plain(Link),
    /// Under TLS.
    Tls(Arc<Session>),
    /// Not this way.
    None,
}

/// What ends when both halves are closed.
#[derive(Debug)]
pub(super) struct Common {
    command: Option<Running>,
    settings: Settings,
}

impl Common {
    pub(super) fn new(command: Option<Running>, settings: Settings) -> Self {
        Self { command, settings }
    }

    /// Whoever closes last waits for the command.
    fn close(self: Arc<Self>) -> Result<(), Error> {
        match Arc::into_inner(self) {
            Some(Self { command: Some(command), settings }) => command.finish(&settings),
            _ => Ok(()),
        }
    }
}

/// The half that bytes come from.
#[derive(Debug)]
pub struct ReadHalf {
    way: Way,
    turn: Turn,
    /// What has been looked at, and not been read.
    peeked: Vec<u8>,
    common: Arc<Common>,
}

impl ReadHalf {
    pub(super) fn new(way: Way, turn: Turn, common: Arc<Common>) -> Self {
        Self { way, turn, peeked: Vec::new(), common }
    }

    /// The address of the channel, as errors name it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.turn.channel
    }

    /// Whether anything can come this way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.way, Way::None)
    }

    /// How long reading goes on waiting, from now on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.turn.set_patience(patience);
    }

    /// What breaks reading off, and nothing else of the channel or of others.
    pub fn breaker(&mut self) -> Cancel {
        let breaker = self.turn.cancel.child();
        self.turn.cancel = breaker.clone();
        breaker
    }

    /// The next bytes, which the next [`read`](Read::read) gives again: fewer only at the end.
    ///
    /// # Errors
    /// As reading does.
    pub fn peek(&mut self, bytes: usize) -> Result<&[u8], Error> {
        while let have = self.peeked.len()
            && have < bytes
        {
            self.peeked.resize(bytes, 0);
            let room = self.peeked.get_mut(have..).unwrap_or_default();
            let read = receive(&self.way, &mut self.turn, room);
            self.peeked.truncate(have + read.as_ref().copied().unwrap_or(0));
            if read? == 0 {
                break;
            }
        }
        Ok(self.peeked.get(..bytes).unwrap_or(&self.peeked))
    }

    /// Gives up this half. If it is the last, waits for a command to end.
    ///
    /// # Errors
    /// If the command fails, or does not end.
    pub fn close(self) -> Result<(), Error> {
        let Self { way, common, .. } = self;
        // A command ends once it sees that its channel has.
        drop(way);
        common.close()
    }

    /// Reads what was looked at.
    fn read_peeked(&mut self, buffer: &mut [u8]) -> usize {
        let bytes = buffer.len().min(self.peeked.len());
        for (to, from) in buffer.iter_mut().zip(self.peeked.drain(..bytes)) {
            *to = from;
        }
        bytes
    }
}

fn receive(way: &Way, turn: &mut Turn, buffer: &mut [u8]) -> Result<usize, Error> {
    match way {
        Way::Plain(link) => link.read(turn, buffer),
        Way::Tls(session) => session.read(turn, buffer),
        Way::None => Err(Error::OneWay { channel: turn.channel.clone(), doing: turn.doing }),
    }
}

impl Read for ReadHalf {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.peeked.is_empty() {
            return Ok(self.read_peeked(buffer));
        }
        Ok(receive(&self.way, &mut self.turn, buffer)?)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &self.way {
            Way::Plain(link) if self.peeked.is_empty() => Ok(link.read_vectored(&mut self.turn, buffers)?),
            _ => match buffers.iter_mut().find(|buffer| !buffer.is_empty()) {
                Some(buffer) => self.read(buffer),
                None => Ok(0),
            },
        }
    }
}

/// The half that bytes go to.
///
/// What [`write`](Write::write) has taken, the kernel has: nothing needs to be flushed.
#[derive(Debug)]
pub struct WriteHalf {
    way: Way,
    turn: Turn,
    common: Arc<Common>,
}

impl WriteHalf {
    pub(super) fn new(way: Way, turn: Turn, common: Arc<Common>) -> Self {
        Self { way, turn, common }
    }

    /// The address of the channel, as errors name it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.turn.channel
    }

    /// Whether anything can go this way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.way, Way::None)
    }

    /// How long writing goes on waiting, from now on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.turn.set_patience(patience);
    }

    /// From now on nothing calls writing off but its patience: for a word that must be said once another has
    /// been heard.
    pub fn see_through(&mut self) {
        self.turn.cancel = Cancel::new();
    }

    /// Tells the peer that no more comes: it reads the end. A file has reached the disk when this returns.
    /// If the other half is closed already, waits for a command to end.
    ///
    /// # Errors
    /// If the peer cannot be told, if the disk fails, or if the command does.
    pub fn close(self) -> Result<(), Error> {
        let Self { way, mut turn, common } = self;
        turn.doing = Doing::Closing;
        let told = match &way {
            Way::Plain(link) => link.finish().map_err(|error| turn.failed(error)),
            Way::Tls(session) => session.finish(&mut turn),
            Way::None => Ok(()),
        };
        drop(way);
        told.and(common.close())
    }
}

impl Write for WriteHalf {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let (turn, way) = (&mut self.turn, &self.way);
        Ok(match way {
            Way::Plain(link) => link.write(turn, buffers)?,
            Way::Tls(session) => session.write(turn, buffers)?,
            Way::None => Err(Error::OneWay { channel: turn.channel.clone(), doing: turn.doing })?,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
