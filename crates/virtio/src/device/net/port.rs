//! Where a network device's frames go and come from: a socket, or a port of a switch.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::device::Mac;

/// The longest frame, offloads and all.
pub const LONGEST_FRAME: usize = 65_550;
/// Frames that wait at a port of a switch; more are lost, as on any network.
const MOST_WAITING: usize = 1024;

/// A way to a network. It never blocks.
pub trait Port: Send {
    /// Sends a frame; gives whether that could be done now.
    ///
    /// # Errors
    /// If the network is gone. The frame is lost then.
    fn send(&mut self, frame: &[u8]) -> io::Result<bool>;

    /// Takes the next frame that came, if there is one.
    ///
    /// # Errors
    /// If the network is gone.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>>;
}

/// A socket whose datagrams are frames.
#[derive(Debug)]
pub struct SocketPort {
    socket: UnixDatagram,
    buffer: Vec<u8>,
}

impl SocketPort {
    /// A connected socket.
    ///
    /// # Errors
    /// If it cannot be made not to block.
    pub fn new(socket: UnixDatagram) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, buffer: vec![0; LONGEST_FRAME] })
    }
}

impl Port for SocketPort {
    fn send(&mut self, frame: &[u8]) -> io::Result<bool> {
        match self.socket.send(frame) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.socket.recv(&mut self.buffer) {
            Ok(length) => Ok(Some(self.buffer.get(..length).unwrap_or_default().to_vec())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A switch: it learns where addresses are, and sends what it does not know everywhere.
#[derive(Debug, Clone, Default)]
pub struct Switch(Arc<Mutex<Ports>>);

#[derive(Debug, Default)]
struct Ports {
    /// What waits at each port; `None` for one that was pulled.
    waiting: Vec<Option<VecDeque<Vec<u8>>>>,
    learned: HashMap<[u8; 6], usize>,
}

/// A port of a switch. Pulled when dropped.
#[derive(Debug)]
pub struct SwitchPort {
    switch: Switch,
    number: usize,
}

impl Switch {
    /// A switch without ports.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One port more.
    #[must_use]
    pub fn plug(&self) -> SwitchPort {
        let mut ports = self.0.lock();
        ports.waiting.push(Some(VecDeque::new()));
        SwitchPort { switch: self.clone(), number: ports.waiting.len() - 1 }
    }
}

impl Port for SwitchPort {
    fn send(&mut self, frame: &[u8]) -> io::Result<bool> {
        let mut ports = self.switch.0.lock();
        let Some((to, from)) = addresses(frame) else { return Ok(true) };
        if !from.is_multicast() {
            ports.learned.insert(from.0, self.number);
        }
        let known = ports.learned.get(&to.0).copied();
        for (number, waiting) in ports.waiting.iter_mut().enumerate() {
            let is_meant = known.is_none_or(|known| known == number) && number != self.number;
            if let Some(waiting) = waiting
                && is_meant
                && waiting.len() < MOST_WAITING
            {
                waiting.push_back(frame.to_vec());
            }
        }
        Ok(true)
    }

    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut ports = self.switch.0.lock();
        let waiting = ports.waiting.get_mut(self.number).and_then(Option::as_mut);
        Ok(waiting.and_then(VecDeque::pop_front))
    }
}

impl Drop for SwitchPort {
    fn drop(&mut self) {
        let mut ports = self.switch.0.lock();
        if let Some(waiting) = ports.waiting.get_mut(self.number) {
            *waiting = None;
        }
        let number = self.number;
        ports.learned.retain(|_, known| *known != number);
    }
}

/// Whom a frame is for, and whom it is from.
pub(super) fn addresses(frame: &[u8]) -> Option<(Mac, Mac)> {
    let (to, rest) = frame.split_first_chunk()?;
    Some((Mac(*to), Mac(*rest.first_chunk()?)))
}
