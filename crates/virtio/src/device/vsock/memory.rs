//! A host in memory.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use super::host::{VsockHost, VsockStream};

/// A host in memory. Clones are of the same host.
#[derive(Clone, Default)]
pub struct MemoryHost(Arc<Mutex<Doors>>);

type Service = Box<dyn FnMut() -> Box<dyn VsockStream> + Send>;

#[derive(Default)]
struct Doors {
    services: HashMap<u32, Service>,
    /// Who wants to connect to which port of the guest's.
    waiting: VecDeque<(u32, Box<dyn VsockStream>)>,
}

impl std::fmt::Debug for MemoryHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryHost").field("services", &self.0.lock().services.len()).finish_non_exhaustive()
    }
}

impl MemoryHost {
    /// A host where nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever connects to this port gets what `service` makes.
    pub fn listen<S: VsockStream + 'static>(
        &self,
        port: u32,
        mut service: impl FnMut() -> S + Send + 'static,
    ) {
        self.0.lock().services.insert(port, Box::new(move || Box::new(service())));
    }

    /// Connects to a port of the guest's: gives the host's end, which has room for so many bytes in each direction.
    #[must_use]
    pub fn connect_to_guest(&self, port: u32, room: usize) -> MemoryStream {
        let (here, there) = MemoryStream::pair(room);
        self.0.lock().waiting.push_back((port, Box::new(there)));
        here
    }
}

impl VsockHost for MemoryHost {
    fn connect(&mut self, port: u32) -> Option<Box<dyn VsockStream>> {
        self.0.lock().services.get_mut(&port).map(|service| service())
    }

    fn accept(&mut self) -> Option<(u32, Box<dyn VsockStream>)> {
        self.0.lock().waiting.pop_front()
    }
}

/// An end of a stream in memory.
#[derive(Debug)]
pub struct MemoryStream {
    from: Pipe,
    to: Pipe,
}

/// Bytes that go one way.
#[derive(Debug, Clone)]
struct Pipe(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    bytes: VecDeque<u8>,
    room: usize,
    /// Whether either end is gone.
    is_closed: bool,
}

impl MemoryStream {
    /// Both ends of a stream that has room for so many bytes in each direction.
    #[must_use]
    pub fn pair(room: usize) -> (Self, Self) {
        let (there, back) = (Pipe::new(room), Pipe::new(room));
        (Self { from: back.clone(), to: there.clone() }, Self { from: there, to: back })
    }

    /// An end that gives back what it is given, and has room for so many bytes.
    #[must_use]
    pub fn echo(room: usize) -> Self {
        let pipe = Pipe::new(room);
        Self { from: pipe.clone(), to: pipe }
    }
}

impl Pipe {
    fn new(room: usize) -> Self {
        Self(Arc::new(Mutex::new(Held { bytes: VecDeque::new(), room, is_closed: false })))
    }

    fn close(&self) {
        self.0.lock().is_closed = true;
    }
}

impl Read for MemoryStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut held = self.from.0.lock();
        match held.bytes.is_empty() && !held.is_closed {
            true => Err(ErrorKind::WouldBlock.into()),
            false => held.bytes.read(buffer),
        }
    }
}

impl Write for MemoryStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.to.0.lock();
        if held.is_closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(held.room.saturating_sub(held.bytes.len()));
        if taken == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        held.bytes.extend(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl VsockStream for MemoryStream {
    fn shutdown(&mut self) -> io::Result<()> {
        self.to.close();
        Ok(())
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.to.close();
        self.from.close();
    }
}
