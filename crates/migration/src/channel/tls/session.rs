//! TLS over a link, read and written by two threads at the same time.
//!
//! One lock holds everything. Nobody holds it while waiting for the socket: who would block gives it back,
//! waits, and takes it again. What is encrypted under it goes out before anything encrypted later.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;

use parking_lot::Mutex;
use rustix::event::PollFlags;
use rustls::Connection;

use super::Tls;
use crate::channel::link::Link;
use crate::channel::wait::{Deadline, Turn};
use crate::channel::{Doing, Error};

/// Bytes taken from the socket in one call: rustls itself would take a quarter of a record.
const BATCH: usize = 128 << 10;
/// Bytes encrypted in one go: while they are, nobody reads.
const MOST_PENDING: usize = 256 << 10;

/// A TLS connection.
#[derive(Debug)]
pub(in crate::channel) struct Session {
    link: Link,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    /// What came from the socket, of which `taken..filled` has not been decrypted.
    batch: Box<[u8]>,
    taken: usize,
    filled: usize,
    has_ended: bool,
}

/// Why something cannot be done now, or at all.
#[derive(Debug)]
enum Failure {
    WouldBlock,
    Io(io::Error),
    Tls(rustls::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock { Self::WouldBlock } else { Self::Io(error) }
    }
}

impl Session {
    pub(in crate::channel) fn new(
        link: Link,
        tls: &Tls,
        host: Option<&str>,
        channel: &str,
    ) -> Result<Self, Error> {
        let mut connection = tls.connection(host, channel)?;
        connection.set_buffer_limit(Some(MOST_PENDING));
        let batch = vec![0; BATCH].into_boxed_slice();
        let state = State { connection, batch, taken: 0, filled: 0, has_ended: false };
        Ok(Self { link, state: Mutex::new(state) })
    }

    /// Agrees on keys with the peer, and sees who it is.
    pub(in crate::channel) fn handshake(&self, deadline: &Deadline<'_>, channel: &str) -> Result<(), Error> {
        loop {
            deadline.left()?;
            let mut state = self.state.lock();
            let (outcome, events) = match state.send(&self.link) {
                Ok(_) if !state.connection.is_handshaking() => return Ok(()),
                Ok(_) if state.has_ended => {
                    return Err(Error::HandshakeEnded { channel: channel.to_owned() });
                }
                Ok(_) => (state.fetch(&self.link), PollFlags::IN),
                other => (other, PollFlags::OUT),
            };
            drop(state);
            match outcome {
                Ok(_) => {}
                Err(Failure::WouldBlock) => deadline.wait(self.link.as_fd(), events)?,
                Err(Failure::Io(error)) => return Err(deadline.failed(error)),
                Err(Failure::Tls(error)) => {
                    let doing = Doing::Handshaking;
                    return Err(Error::Tls { channel: channel.to_owned(), doing, error });
                }
            }
        }
    }

    /// The end is where the peer ends the connection, in order or not: a stream knows whether it is complete.
    pub(in crate::channel) fn read(&self, turn: &mut Turn, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            turn.check()?;
            let mut state = self.state.lock();
            match state.connection.reader().read(buffer) {
                Ok(bytes) => return Ok(bytes),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(turn.failed(error)),
            }
            let outcome = state.fetch(&self.link);
            drop(state);
            match outcome {
                Ok(bytes) => turn.moved(bytes),
                Err(failure) => self.handle(failure, turn, PollFlags::IN)?,
            }
        }
    }

    pub(in crate::channel) fn write(&self, turn: &mut Turn, buffers: &[IoSlice<'_>]) -> Result<usize, Error> {
        turn.check()?;
        let taken = self.state.lock().connection.writer().write_vectored(buffers);
        let taken = taken.map_err(|error| turn.failed(error))?;
        self.send_all(turn)?;
        Ok(taken)
    }

    /// Says that no more will be written.
    pub(in crate::channel) fn finish(&self, turn: &mut Turn) -> Result<(), Error> {
        self.state.lock().connection.send_close_notify();
        self.send_all(turn)?;
        self.link.finish().map_err(|error| turn.failed(error))
    }

    fn send_all(&self, turn: &mut Turn) -> Result<(), Error> {
        loop {
            turn.check()?;
            let mut state = self.state.lock();
            match state.send(&self.link) {
                Ok(bytes) => {
                    turn.moved(bytes);
                    return Ok(());
                }
                Err(Failure::Io(error)) => return Err(state.why(&self.link, error, turn)),
                Err(failure) => {
                    drop(state);
                    self.handle(failure, turn, PollFlags::OUT)?;
                }
            }
        }
    }

    fn handle(&self, failure: Failure, turn: &mut Turn, events: PollFlags) -> Result<(), Error> {
        match failure {
            Failure::WouldBlock => turn.wait(self.link.as_fd(), events),
            Failure::Io(error) => Err(turn.failed(error)),
            Failure::Tls(error) => Err(refused(turn, error)),
        }
    }
}

impl State {
    /// Takes what the socket has, and decrypts until there is something to read; gives the bytes it took.
    fn fetch(&mut self, link: &Link) -> Result<usize, Failure> {
        let mut fetched = 0;
        if self.taken == self.filled {
            fetched = retried(|| link.try_read(&mut self.batch))?;
            (self.taken, self.filled, self.has_ended) = (0, fetched, fetched == 0);
            if self.has_ended {
                self.connection.read_tls(&mut io::empty())?;
            }
        }
        while let Some(mut rest) = self.batch.get(self.taken..self.filled)
            && !rest.is_empty()
        {
            self.taken += self.connection.read_tls(&mut rest)?;
            match self.connection.process_new_packets() {
                Ok(now) if now.plaintext_bytes_to_read() > 0 => break,
                Ok(_) => {}
                Err(error) => {
                    // The peer is told why, if that is possible at once.
                    let _ = self.send(link);
                    return Err(Failure::Tls(error));
                }
            }
        }
        Ok(fetched)
    }

    /// Sends all that is encrypted; gives its bytes.
    fn send(&mut self, link: &Link) -> Result<usize, Failure> {
        let mut sent = 0;
        while self.connection.wants_write() {
            sent += self.connection.write_tls(&mut Now(link))?;
        }
        Ok(sent)
    }

    /// Why the peer takes no more. In TLS 1.3 it refuses a client only after the handshake; what it says of
    /// it has come, and nobody may have read it yet.
    fn why(&mut self, link: &Link, error: io::Error, turn: &Turn) -> Error {
        while let Ok(bytes) = self.fetch(link) {
            if bytes == 0 {
                break;
            }
        }
        match self.connection.process_new_packets() {
            Err(error) => refused(turn, error),
            Ok(_) => turn.failed(error),
        }
    }
}

fn refused(turn: &Turn, error: rustls::Error) -> Error {
    Error::Tls { channel: turn.channel.clone(), doing: turn.doing, error }
}

/// A link as rustls writes to it.
struct Now<'a>(&'a Link);

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        retried(|| self.0.try_write(buffers))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn retried(attempt: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    rustix::io::retry_on_intr(attempt).map_err(io::Error::from)
}
