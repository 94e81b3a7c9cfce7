//! All waiting: for a descriptor to be ready, in steps, so that nobody waits longer than set and anybody can
//! be called off.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::patience::Meter;
use super::{Cancel, Doing, Error, Patience};

/// The longest that [`Cancel`] goes unseen.
pub const TICK: Duration = Duration::from_millis(100);

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    Ready,
    Elapsed,
    Cancelled,
}

/// Waits until the descriptor is ready, or broken, which the next call on it will tell.
pub(super) fn wait(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    limit: Option<Duration>,
    cancel: &Cancel,
) -> io::Result<Waited> {
    let start = Instant::now();
    loop {
        if cancel.is_cancelled() {
            return Ok(Waited::Cancelled);
        }
        let left = limit.map_or(TICK, |limit| limit.saturating_sub(start.elapsed()));
        if left.is_zero() {
            return Ok(Waited::Elapsed);
        }
        let step = Timespec::try_from(left.min(TICK)).map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(fd, events)], Some(&step)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(Waited::Ready),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A time by which something must be done.
#[derive(Debug, Clone)]
pub(super) struct Deadline<'a> {
    channel: &'a str,
    doing: Doing,
    start: Instant,
    limit: Option<Duration>,
    cancel: &'a Cancel,
}

impl<'a> Deadline<'a> {
    pub(super) fn new(channel: &'a str, doing: Doing, limit: Option<Duration>, cancel: &'a Cancel) -> Self {
        Self { channel, doing, start: Instant::now(), limit, cancel }
    }

    /// Time that is left, or that there is no limit.
    ///
    /// # Errors
    /// If no time is left, or if it was cancelled.
    pub(super) fn left(&self) -> Result<Option<Duration>, Error> {
        if self.cancel.is_cancelled() {
            return Err(self.cancelled());
        }
        let Some(limit) = self.limit else { return Ok(None) };
        let left = limit.saturating_sub(self.start.elapsed());
        if left.is_zero() { Err(self.elapsed(limit)) } else { Ok(Some(left)) }
    }

    pub(super) fn wait(&self, fd: BorrowedFd<'_>, events: PollFlags) -> Result<(), Error> {
        let left = self.left()?;
        match wait(fd, events, left, self.cancel) {
            Ok(Waited::Ready) => Ok(()),
            Ok(Waited::Elapsed) => Err(self.elapsed(self.limit.unwrap_or_default())),
            Ok(Waited::Cancelled) => Err(self.cancelled()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Waits for what no descriptor tells.
    pub(super) fn pause(&self) -> Result<(), Error> {
        const PAUSE: Duration = Duration::from_millis(10);
        std::thread::sleep(self.left()?.map_or(PAUSE, |left| left.min(PAUSE)));
        Ok(())
    }

    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::Io { channel: self.channel.to_owned(), doing: self.doing, error }
    }

    fn elapsed(&self, after: Duration) -> Error {
        Error::TimedOut { channel: self.channel.to_owned(), doing: self.doing, after }
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled { channel: self.channel.to_owned(), doing: self.doing }
    }
}

/// One direction of a channel: does what would block, once it does not.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) channel: String,
    pub(super) doing: Doing,
    pub(super) cancel: Cancel,
    meter: Meter,
}

impl Turn {
    pub(super) fn new(channel: String, doing: Doing, cancel: Cancel, patience: Patience) -> Self {
        Self { channel, doing, cancel, meter: Meter::new(patience) }
    }

    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.meter = Meter::new(patience);
    }

    /// Bytes went through.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.meter.moved(bytes);
    }

    /// # Errors
    /// If it was cancelled.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() { Err(self.cancelled()) } else { Ok(()) }
    }

    /// Waits until the descriptor is ready.
    ///
    /// # Errors
    /// If the peer has stalled, or if it was cancelled.
    pub(super) fn wait(&mut self, fd: BorrowedFd<'_>, events: PollFlags) -> Result<(), Error> {
        let start = Instant::now();
        let outcome = wait(fd, events, self.meter.left(), &self.cancel);
        self.meter.waited(start);
        match outcome.map_err(|error| self.failed(error))? {
            Waited::Ready => Ok(()),
            Waited::Cancelled => Err(self.cancelled()),
            Waited::Elapsed => {
                let (waited, moved, expected) = self.meter.account();
                let channel = self.channel.clone();
                Err(Error::Stalled { channel, doing: self.doing, waited, moved, expected })
            }
        }
    }

    /// Tries, and waits only if it would block. One attempt moves at least a byte, or is the end.
    pub(super) fn transfer(
        &mut self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        mut attempt: impl FnMut() -> rustix::io::Result<usize>,
    ) -> Result<usize, Error> {
        loop {
            self.check()?;
            match attempt() {
                Ok(bytes) => {
                    self.moved(bytes);
                    return Ok(bytes);
                }
                Err(Errno::AGAIN) => self.wait(fd, events)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed(error.into())),
            }
        }
    }

    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::Io { channel: self.channel.clone(), doing: self.doing, error }
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled { channel: self.channel.clone(), doing: self.doing }
    }
}
