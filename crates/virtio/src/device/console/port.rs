//! What a port of a console is connected to.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use parking_lot::Mutex;

/// The other end of a port. It never blocks.
pub trait ConsolePort: Send {
    /// Whether somebody is there. What the guest writes while nobody is goes nowhere.
    fn is_open(&self) -> bool {
        true
    }

    /// Takes some of what the guest writes; gives how many bytes, none if it has no room now.
    ///
    /// # Errors
    /// If nobody is there any more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Gives what the guest is to read; none if there is nothing now.
    ///
    /// # Errors
    /// If nobody is there any more.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A port at a socket.
#[derive(Debug)]
pub struct SocketConsole {
    socket: UnixStream,
    open: bool,
}

impl SocketConsole {
    /// A connected socket.
    ///
    /// # Errors
    /// If it cannot be made not to block.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, open: true })
    }

    fn done(&mut self, result: io::Result<usize>, ends: bool) -> io::Result<usize> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => {
                self.open = false;
                Err(error)
            }
            Ok(0) if ends => {
                self.open = false;
                Ok(0)
            }
            Ok(bytes) => Ok(bytes),
        }
    }
}

impl ConsolePort for SocketConsole {
    fn is_open(&self) -> bool {
        self.open
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = io::Write::write(&mut self.socket, bytes);
        self.done(written, false)
    }
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = io::Read::read(&mut self.socket, buffer);
        self.done(read, true)
    }
}

/// A port in memory, with room for so much of what the guest writes. Clones are the same port.
#[derive(Debug, Clone)]
pub struct MemoryConsole(Arc<Mutex<Pipes>>);

#[derive(Debug)]
struct Pipes {
    room: usize,
    written: VecDeque<u8>,
    typed: VecDeque<u8>,
}

impl MemoryConsole {
    /// A port with room for so many bytes.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self(Arc::new(Mutex::new(Pipes { room, written: VecDeque::new(), typed: VecDeque::new() })))
    }

    /// Takes what the guest has written.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().written.drain(..).collect()
    }

    /// Has the guest read something.
    pub fn type_in(&self, bytes: &[u8]) {
        self.0.lock().typed.extend(bytes);
    }
}

impl ConsolePort for MemoryConsole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipes = self.0.lock();
        let taken = bytes.len().min(pipes.room.saturating_sub(pipes.written.len()));
        pipes.written.extend(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.0.lock().typed, buffer)
    }
}
