//! A descriptor that bytes go through, of whatever kind, and never blocks on.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::PollFlags;
use rustix::fs::{FileType, OFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, recvmsg, sendmsg,
    shutdown,
};

use super::Error;
use super::wait::Turn;

/// Slices that one call takes (`IOV_MAX` of Linux).
const MOST_SLICES: usize = 1024;

/// A descriptor that both directions of a channel share.
#[derive(Debug, Clone)]
pub(super) struct Link {
    fd: Arc<OwnedFd>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socket,
    /// What is never waited for.
    File,
    /// A pipe or a terminal.
    Stream,
}

impl Link {
    /// Takes a descriptor of any kind.
    ///
    /// # Errors
    /// If it cannot be asked what it is, or be made not to block.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let kind = match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
            FileType::Socket => Kind::Socket,
            FileType::RegularFile | FileType::BlockDevice => Kind::File,
            _ => Kind::Stream,
        };
        let fd = if kind == Kind::Stream { not_blocking(fd)? } else { fd };
        Ok(Self { fd: Arc::new(fd), kind })
    }

    /// Whether it can be read from, and written to.
    pub(super) fn ways(&self) -> io::Result<(bool, bool)> {
        let mode = rustix::fs::fcntl_getfl(&self.fd)? & OFlags::RWMODE;
        Ok((mode != OFlags::WRONLY, mode != OFlags::RDONLY))
    }

    pub(super) fn read(&self, turn: &mut Turn, buffer: &mut [u8]) -> Result<usize, Error> {
        turn.transfer(self.fd.as_fd(), PollFlags::IN, || self.try_read(buffer))
    }

    pub(super) fn read_vectored(
        &self,
        turn: &mut Turn,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<usize, Error> {
        let buffers = buffers.get_mut(..buffers.len().min(MOST_SLICES)).unwrap_or_default();
        turn.transfer(self.fd.as_fd(), PollFlags::IN, || match self.kind {
            Kind::Socket => {
                let mut nothing = RecvAncillaryBuffer::default();
                recvmsg(&self.fd, buffers, &mut nothing, RecvFlags::DONTWAIT).map(|message| message.bytes)
            }
            Kind::File | Kind::Stream => rustix::io::readv(&self.fd, buffers),
        })
    }

    pub(super) fn write(&self, turn: &mut Turn, buffers: &[IoSlice<'_>]) -> Result<usize, Error> {
        turn.transfer(self.fd.as_fd(), PollFlags::OUT, || self.try_write(buffers))
    }

    /// Reads what is there.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        match self.kind {
            Kind::Socket => recv(&self.fd, buffer, RecvFlags::DONTWAIT).map(|(bytes, _)| bytes),
            Kind::File | Kind::Stream => rustix::io::read(&self.fd, buffer),
        }
    }

    /// Writes what there is room for.
    pub(super) fn try_write(&self, buffers: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
        let buffers = buffers.get(..buffers.len().min(MOST_SLICES)).unwrap_or_default();
        match self.kind {
            Kind::Socket => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                sendmsg(&self.fd, buffers, &mut SendAncillaryBuffer::default(), flags)
            }
            Kind::File | Kind::Stream => rustix::io::writev(&self.fd, buffers),
        }
    }

    /// Says that no more will be written: to the peer, or to the disk.
    pub(super) fn finish(&self) -> io::Result<()> {
        match self.kind {
            Kind::Socket => match shutdown(&self.fd, Shutdown::Write) {
                // The peer has gone already.
                Err(rustix::io::Errno::NOTCONN) => Ok(()),
                other => Ok(other?),
            },
            Kind::File => match rustix::fs::fdatasync(&self.fd) {
                // What keeps nothing.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::ROFS) => Ok(()),
                other => Ok(other?),
            },
            Kind::Stream => Ok(()),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A pipe is opened once more, so that only this end of it does not block: whoever else has it, such as the
/// shell its terminal, is not told of it.
fn not_blocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    if flags.contains(OFlags::NONBLOCK) {
        return Ok(fd);
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let again = (flags & OFlags::RWMODE) | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    if let Ok(opened) = rustix::fs::open(path, again, rustix::fs::Mode::empty()) {
        return Ok(opened);
    }
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(fd)
}
