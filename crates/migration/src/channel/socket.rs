//! Connecting to a socket: tcp, unix and vsock alike.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{SockAddr, Socket, Type};

use super::wait::Deadline;
use super::{Address, Doing, Error, Settings};

/// What an empty host means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// Every interface.
    Any,
    /// This machine.
    Loopback,
}

/// Connects to the first of the peer's addresses that answers.
pub(super) fn connect(address: &Address, settings: &Settings) -> Result<OwnedFd, Error> {
    let channel = address.to_string();
    let deadline = Deadline::new(&channel, Doing::Connecting, Some(settings.connect), &settings.cancel);
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for target in targets(address, Empty::Loopback, &deadline)? {
        match connect_to(&target, &deadline) {
            Ok(socket) => return Ok(socket.into()),
            Err(Error::Io { error, .. }) => failure = error,
            Err(other) => return Err(other),
        }
    }
    Err(match failure.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            Error::Refused { channel, error: failure }
        }
        _ => Error::Open { channel, error: failure },
    })
}

fn connect_to(target: &SockAddr, deadline: &Deadline<'_>) -> Result<Socket, Error> {
    let failed = |error| deadline.failed(error);
    let socket = Socket::new(target.domain(), Type::STREAM, None).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    loop {
        match socket.connect(target).map_err(|error| (Errno::from_io_error(&error), error)) {
            Ok(()) => break,
            Err((Some(Errno::INPROGRESS), _)) => {
                deadline.wait(socket.as_fd(), PollFlags::OUT)?;
                if let Some(error) = socket.take_error().map_err(failed)? {
                    return Err(failed(error));
                }
                break;
            }
            // A unix socket has as many waiting as it takes.
            Err((Some(Errno::AGAIN), _)) => deadline.pause()?,
            Err((Some(Errno::INTR), _)) => {}
            Err((_, error)) => return Err(failed(error)),
        }
    }
    without_delay(&socket).map_err(failed)?;
    Ok(socket)
}

/// Answers on the return path are short, and somebody waits for them.
pub(super) fn without_delay(socket: &Socket) -> io::Result<()> {
    if socket.local_addr()?.as_socket().is_some() { socket.set_tcp_nodelay(true) } else { Ok(()) }
}

/// The addresses of a socket that a channel's address means.
pub(super) fn targets(
    address: &Address,
    empty: Empty,
    deadline: &Deadline<'_>,
) -> Result<Vec<SockAddr>, Error> {
    Ok(match address {
        Address::Unix(path) => vec![SockAddr::unix(path).map_err(|error| deadline.failed(error))?],
        Address::Vsock { cid, port } => vec![SockAddr::vsock(*cid, *port)],
        Address::Tcp { host, port } => {
            resolve(host, *port, empty, deadline)?.into_iter().map(SockAddr::from).collect()
        }
        Address::File { .. } | Address::Fd(_) | Address::Exec(_) | Address::Standard => Vec::new(),
    })
}

/// Finds the addresses of a host, in a thread of its own: who looks for a name cannot be called off.
fn resolve(host: &str, port: u16, empty: Empty, deadline: &Deadline<'_>) -> Result<Vec<SocketAddr>, Error> {
    let host = match (host, empty) {
        // IPv6 takes IPv4 too, where there is IPv6.
        ("", Empty::Any) => return Ok(["::", "0.0.0.0"].iter().filter_map(|ip| at(ip, port)).collect()),
        ("", Empty::Loopback) => "localhost",
        (host, _) => host,
    };
    if let Some(known) = at(host, port) {
        return Ok(vec![known]);
    }
    let (found, answer) = mpsc::channel();
    let name = (host.to_owned(), port);
    thread::spawn(move || found.send(name.to_socket_addrs().map(Iterator::collect)));
    loop {
        match answer.try_recv() {
            Ok(found) => {
                return found.map_err(|error| Error::Resolve { host: host.to_owned(), error });
            }
            Err(mpsc::TryRecvError::Empty) => deadline.pause()?,
            Err(mpsc::TryRecvError::Disconnected) => {
                return Err(deadline.failed(io::Error::other("the thread that looks for the host ended")));
            }
        }
    }
}

fn at(ip: &str, port: u16) -> Option<SocketAddr> {
    ip.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
}
