//! A host whose ports are Unix sockets, by the convention of Firecracker and Cloud Hypervisor: a guest that connects to
//! port `P` of the host reaches the socket `PATH_P`; whoever connects to the socket `PATH` and writes `CONNECT P` and
//! a newline reaches port `P` of the guest, and reads `OK`, the host's port and a newline once the guest has accepted.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::task::Poll;

use socket2::{Domain, SockAddr, Socket, Type};

use super::host::{VsockHost, VsockStream, is_not_now};

/// Clients that have not yet said which port they want; one more, and the oldest has to go.
const MOST_WAITING: usize = 64;
/// Bytes of the longest line that says it: `CONNECT 4294967295` and a newline.
const LONGEST_LINE: usize = 19;

/// A host whose ports are Unix sockets.
#[derive(Debug)]
pub struct UnixHost {
    path: PathBuf,
    listener: Option<UnixListener>,
    waiting: VecDeque<Client>,
}

/// Somebody who has connected, and what of the first line has come.
#[derive(Debug)]
struct Client {
    socket: UnixStream,
    line: Vec<u8>,
}

impl UnixHost {
    /// A host that the guest connects to, and that does not connect to it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), listener: None, waiting: VecDeque::new() }
    }

    /// A host that also listens at its path, for those who want to connect to the guest.
    ///
    /// # Errors
    /// If that cannot be done, or there is something at this path.
    pub fn bind(path: impl Into<PathBuf>) -> io::Result<Self> {
        let mut host = Self::new(path);
        let listener = UnixListener::bind(&host.path)?;
        listener.set_nonblocking(true)?;
        host.listener = Some(listener);
        Ok(host)
    }

    fn let_in(&mut self) {
        let Some(listener) = &self.listener else { return };
        for _ in 0..MOST_WAITING {
            let Ok((socket, _)) = listener.accept() else { break };
            if socket.set_nonblocking(true).is_ok() {
                self.waiting.push_back(Client { socket, line: Vec::new() });
            }
        }
        while self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
        }
    }
}

impl VsockHost for UnixHost {
    fn connect(&mut self, port: u32) -> Option<Box<dyn VsockStream>> {
        let mut path = self.path.clone().into_os_string();
        path.push(format!("_{port}"));
        // A listener that is too busy refuses, and does not hold the device up.
        connect(path.as_ref()).ok().map(|socket| Box::new(socket) as Box<dyn VsockStream>)
    }

    fn accept(&mut self) -> Option<(u32, Box<dyn VsockStream>)> {
        self.let_in();
        let mut at = 0;
        while let Some(client) = self.waiting.get_mut(at) {
            let Poll::Ready(wanted) = client.listen() else {
                at += 1;
                continue;
            };
            let client = self.waiting.remove(at)?;
            if let Some(port) = wanted {
                return Some((port, Box::new(client.socket)));
            }
        }
        None
    }
}

impl Drop for UnixHost {
    fn drop(&mut self) {
        if self.listener.is_some() {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Client {
    /// The port that it wants, once it has said so; none if it says something else. What it says after that is for
    /// the guest, and so not read.
    fn listen(&mut self) -> Poll<Option<u32>> {
        while self.line.last() != Some(&b'\n') {
            let mut byte = [0];
            match self.socket.read(&mut byte) {
                Ok(1..) if self.line.len() < LONGEST_LINE => self.line.extend(byte),
                Err(error) if is_not_now(&error) => return Poll::Pending,
                _ => return Poll::Ready(None),
            }
        }
        let line = str::from_utf8(&self.line).ok();
        Poll::Ready(line.and_then(|line| line.trim_end().strip_prefix("CONNECT ")?.parse().ok()))
    }
}

impl VsockStream for UnixStream {
    fn accepted(&mut self, port: u32) -> io::Result<()> {
        self.write_all(format!("OK {port}\n").as_bytes())
    }

    fn shutdown(&mut self) -> io::Result<()> {
        UnixStream::shutdown(self, Shutdown::Write)
    }
}

/// Connects without waiting. [`UnixStream::connect`] waits while the listener's queue is full.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}
