//! Where peers come to: the side of `-incoming`.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::socket::{Empty, targets, without_delay};
use super::wait::Deadline;
use super::{Address, Channel, Doing, Error, Settings};

/// Connections that may wait to be accepted: multifd opens up to 255 at once.
const BACKLOG: i32 = 256;

/// A place that peers come to.
///
/// A socket takes as many channels as come, which multifd needs. A file, a command, a descriptor and standard
/// input are one channel, which is there at once.
#[derive(Debug)]
pub struct Listener {
    place: Place,
    address: Address,
    settings: Settings,
}

#[derive(Debug)]
enum Place {
    Socket {
        socket: Socket,
        /// Removed from the file system with the listener.
        _file: Option<SocketFile>,
    },
    Once {
        given: bool,
    },
}

impl Listener {
    /// Listens at an address.
    ///
    /// A socket that is at a `unix:` path is replaced, as QEMU does: it cannot be told from one that an ended
    /// process left behind, without disturbing who listens there. Anything else at the path stays.
    ///
    /// # Errors
    /// If the address is in use, or cannot be had for another reason.
    pub fn bind(address: &Address, settings: &Settings) -> Result<Self, Error> {
        let is_socket = matches!(address, Address::Tcp { .. } | Address::Unix(_) | Address::Vsock { .. });
        let (place, address) = if is_socket {
            listen(address, settings)?
        } else {
            (Place::Once { given: false }, address.clone())
        };
        Ok(Self { place, address, settings: settings.clone() })
    }

    /// Where it listens: with the port it has, if any was asked for.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for a peer, for as long as [`Settings::accept`] says, and for its TLS handshake.
    ///
    /// A peer that does not manage the handshake is an error, after which others can still come.
    ///
    /// # Errors
    /// If none comes in time, if it was cancelled, and whatever [`Channel::connect`] fails with.
    pub fn accept(&mut self) -> Result<Channel, Error> {
        self.accept_within(self.settings.accept)
    }

    /// [`accept`](Self::accept) with a time of its own: for the channels that follow a first one.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn accept_within(&mut self, limit: Option<Duration>) -> Result<Channel, Error> {
        let channel = self.address.to_string();
        match &mut self.place {
            Place::Socket { socket, .. } => {
                let deadline = Deadline::new(&channel, Doing::Accepting, limit, &self.settings.cancel);
                let (socket, peer) = accept(socket, &deadline)?;
                let name =
                    peer.as_socket().map_or(channel.clone(), |peer| format!("{channel} (from {peer})"));
                Channel::of_socket(socket, name, &self.address, &self.settings)
            }
            Place::Once { given: true } => Err(Error::OnlyOne { channel }),
            Place::Once { given } => {
                *given = true;
                Channel::open(&self.address, Doing::Reading, &self.settings)
            }
        }
    }
}

fn accept(socket: &Socket, deadline: &Deadline<'_>) -> Result<(OwnedFd, SockAddr), Error> {
    loop {
        match socket.accept() {
            Ok((peer, from)) => {
                without_delay(&peer).map_err(|error| deadline.failed(error))?;
                return Ok((peer.into(), from));
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => deadline.wait(socket.as_fd(), PollFlags::IN)?,
                // It went away before it was accepted.
                Some(Errno::INTR | Errno::CONNABORTED) => drop(deadline.left()?),
                _ => return Err(deadline.failed(error)),
            },
        }
    }
}

/// Listens at the first of an address's sockets that can be had.
fn listen(address: &Address, settings: &Settings) -> Result<(Place, Address), Error> {
    let channel = address.to_string();
    let deadline = Deadline::new(&channel, Doing::Accepting, Some(settings.connect), &settings.cancel);
    if let Address::Unix(path) = address {
        make_room(path, &channel)?;
    }
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for target in targets(address, Empty::Any, &deadline)? {
        match listen_at(&target) {
            Ok(socket) => {
                let bound = bound(address, &socket);
                let file = match address {
                    Address::Unix(path) => SocketFile::of(path),
                    _ => None,
                };
                return Ok((Place::Socket { socket, _file: file }, bound));
            }
            Err(error) => failure = error,
        }
    }
    Err(Error::Listen { channel, error: failure })
}

fn listen_at(target: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(target.domain(), Type::STREAM, None)?;
    if target.domain() == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    if target.as_socket().is_some() {
        socket.set_reuse_address(true)?;
    }
    socket.bind(target)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The address with the port that the kernel chose.
fn bound(address: &Address, socket: &Socket) -> Address {
    let local = socket.local_addr().ok();
    match address {
        Address::Tcp { host, port } => {
            let chosen = local.and_then(|local| local.as_socket()).map_or(*port, |local| local.port());
            Address::Tcp { host: host.clone(), port: chosen }
        }
        Address::Vsock { cid, port } => {
            let chosen = local.and_then(|local| local.as_vsock_address()).map_or(*port, |(_, port)| port);
            Address::Vsock { cid: *cid, port: chosen }
        }
        other => other.clone(),
    }
}

/// Removes a socket that is in the way, and nothing else.
fn make_room(path: &Path, channel: &str) -> Result<(), Error> {
    let outcome = match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => return Err(Error::NotSocket { path: path.to_owned() }),
        Err(_) => Ok(()),
    };
    outcome.map_err(|error| Error::Listen { channel: channel.to_owned(), error })
}

/// The file of a socket, removed when dropped if it is still the one that was made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> Option<Self> {
        Some(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.identity) {
            // Nothing is left to do for one that cannot be removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
