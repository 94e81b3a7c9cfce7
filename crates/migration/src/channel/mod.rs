//! Channels: what a migration goes through, named as QEMU names it.
//!
//! The side that sends the guest connects, the side that takes it listens:
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use migration::channel::{Address, Channel, Listener, Settings};
//!
//! let settings = Settings::default();
//! let mut listener = Listener::bind(&"tcp::4444".parse()?, &settings)?;
//! let (mut stream, mut return_path) = listener.accept()?.split();
//! # let mut buffer = [0; 4096];
//! stream.read(&mut buffer)?;
//! return_path.write_all(&[])?;
//!
//! let channel = Channel::connect(&"unix:/run/guest.sock".parse()?, &settings)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No call blocks without end: [`Settings`] say how long each may take, [`Patience`] what must move in which
//! time, and [`Cancel`] ends everything from outside. A call tries first, and only waits if it would block.
//!
//! | module | what it is |
//! | --- | --- |
//! | `address` | the names of channels |
//! | `socket`, `file`, `exec`, `inherited` | how each kind is opened |
//! | `listener` | where peers come to |
//! | `link` | a descriptor of any kind, that never blocks |
//! | `patience`, `cancel`, `wait` | all waiting, and what ends it |
//! | `tls` | who the peer is, and that nobody else reads |

mod address;
mod cancel;
mod error;
mod exec;
mod file;
mod half;
mod inherited;
mod link;
mod listener;
mod patience;
mod socket;
mod tls;
mod wait;

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

pub use address::{Address, AddressError};
pub use cancel::Cancel;
pub use error::{Doing, Error};
pub use half::{ReadHalf, WriteHalf};
pub use listener::Listener;
pub use patience::{Patience, Settings};
pub use tls::Tls;
pub use wait::TICK;

use exec::Running;
use half::{Common, Way};
use link::Link;
use tls::Session;
use wait::{Deadline, Turn};

/// A connected channel: two halves, which two threads can use at the same time.
///
/// [`close`](Self::close) ends it in order. Dropped without, it is broken off: the peer of a TLS connection
/// sees that it is cut short, and a command is killed.
#[derive(Debug)]
pub struct Channel {
    reading: ReadHalf,
    writing: WriteHalf,
}

impl Channel {
    /// Opens a channel to send a guest through.
    ///
    /// A file is made, `-` is standard output, a command is started. With [`Settings::tls`] the peer has
    /// been checked when this returns.
    ///
    /// # Errors
    /// If the peer is not there, does not answer in time, or is not the one it should be.
    pub fn connect(address: &Address, settings: &Settings) -> Result<Self, Error> {
        match address {
            Address::Tcp { .. } | Address::Unix(_) | Address::Vsock { .. } => {
                let socket = socket::connect(address, settings)?;
                Self::of_socket(socket, address.to_string(), address, settings)
            }
            _ => Self::open(address, Doing::Writing, settings),
        }
    }

    /// Opens what is no socket of ours, to read a guest from or to write one to.
    fn open(address: &Address, doing: Doing, settings: &Settings) -> Result<Self, Error> {
        let channel = address.to_string();
        let failed = |error| Error::Open { channel: channel.clone(), error };
        let is_read = doing == Doing::Reading;
        let (fd, command) = match address {
            Address::File { path, offset } => {
                let open = if is_read { file::open } else { file::create };
                (open(path, *offset).map_err(failed)?.into(), None)
            }
            Address::Fd(number) => (inherited::take(*number)?, None),
            Address::Standard => (inherited::take(u32::from(!is_read))?, None),
            Address::Exec(command) => {
                let (fd, command) = exec::start(command, &channel)?;
                (fd, Some(command))
            }
            Address::Tcp { .. } | Address::Unix(_) | Address::Vsock { .. } => {
                return Err(failed(io::ErrorKind::Unsupported.into()));
            }
        };
        Self::new(fd, command, channel, address, settings)
    }

    fn of_socket(fd: OwnedFd, name: String, address: &Address, settings: &Settings) -> Result<Self, Error> {
        Self::new(fd, None, name, address, settings)
    }

    fn new(
        fd: OwnedFd,
        command: Option<Running>,
        name: String,
        address: &Address,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let failed = |error| Error::Open { channel: name.clone(), error };
        let link = Link::new(fd).map_err(failed)?;
        let (reading, writing) = match &settings.tls {
            Some(tls) => {
                let host = match address {
                    Address::Tcp { host, .. } => Some(host.as_str()),
                    _ => None,
                };
                let session = Arc::new(Session::new(link, tls, host, &name)?);
                let limit = Some(settings.handshake);
                session
                    .handshake(&Deadline::new(&name, Doing::Handshaking, limit, &settings.cancel), &name)?;
                (Way::Tls(Arc::clone(&session)), Way::Tls(session))
            }
            None => {
                let (reads, writes) = link.ways().map_err(failed)?;
                let way = |open| if open { Way::Plain(link.clone()) } else { Way::None };
                (way(reads), way(writes))
            }
        };
        let turn = |doing| Turn::new(name.clone(), doing, settings.cancel.clone(), settings.patience);
        let common = Arc::new(Common::new(command, settings.clone()));
        Ok(Self {
            reading: ReadHalf::new(reading, turn(Doing::Reading), Arc::clone(&common)),
            writing: WriteHalf::new(writing, turn(Doing::Writing), common),
        })
    }

    /// The two halves. The channel is closed when both are.
    #[must_use]
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        (self.reading, self.writing)
    }

    /// The halves, where they are.
    pub fn halves(&mut self) -> (&mut ReadHalf, &mut WriteHalf) {
        (&mut self.reading, &mut self.writing)
    }

    /// The address it was opened by, and who came, as errors name it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.reading.name()
    }

    /// Whether bytes can go both ways, as a return path needs.
    #[must_use]
    pub fn is_duplex(&self) -> bool {
        self.reading.is_open() && self.writing.is_open()
    }

    /// [`ReadHalf::peek`].
    ///
    /// # Errors
    /// As [`ReadHalf::peek`].
    pub fn peek(&mut self, bytes: usize) -> Result<&[u8], Error> {
        self.reading.peek(bytes)
    }

    /// Tells the peer that no more comes, and waits for a command to end.
    ///
    /// # Errors
    /// If the peer cannot be told, if a file does not reach the disk, or if the command fails.
    pub fn close(self) -> Result<(), Error> {
        let written = self.writing.close();
        // Both are closed, whatever the first says; the first to fail is why the other does.
        let read = self.reading.close();
        written.and(read)
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reading.read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.reading.read_vectored(buffers)
    }
}

impl Write for Channel {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.writing.write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writing.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writing.flush()
    }
}
