//! What the sockets of a guest are connected to.

use std::io::{self, ErrorKind, Read, Write};

/// The host of a socket device: who listens there, and who wants to connect to the guest. It never blocks.
pub trait VsockHost: Send {
    /// The guest connects to a port of the host's; nothing if nobody listens.
    fn connect(&mut self, port: u32) -> Option<Box<dyn VsockStream>>;

    /// Takes the next of those who want to connect to the guest, with the port that they want.
    fn accept(&mut self) -> Option<(u32, Box<dyn VsockStream>)> {
        None
    }
}

/// The host's end of a connection. It never blocks: what cannot be done now is an error of the kind
/// [`WouldBlock`](io::ErrorKind::WouldBlock), as with the sockets of the standard library. When it is dropped, the
/// connection is gone.
pub trait VsockStream: Read + Write + Send {
    /// The guest has accepted the connection, which the device gave this port of the host's.
    ///
    /// # Errors
    /// If nobody is there any more.
    fn accepted(&mut self, port: u32) -> io::Result<()> {
        let _ = port;
        Ok(())
    }

    /// The guest sends nothing more.
    ///
    /// # Errors
    /// If nobody is there any more.
    fn shutdown(&mut self) -> io::Result<()>;
}

/// Whether what could not be done can be done later.
pub(super) fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A host where nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyListens;

impl VsockHost for NobodyListens {
    fn connect(&mut self, _: u32) -> Option<Box<dyn VsockStream>> {
        None
    }
}
