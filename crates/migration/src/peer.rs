//! The other end of a channel.

use crate::channel::{Address, Cancel, Channel, Listener, Settings};
use crate::error::Cause;

/// A connected peer.
#[derive(Debug)]
pub struct Peer {
    /// The channel.
    pub main: Channel,
    /// Breaks it off.
    pub cancel: Cancel,
}

impl Peer {
    /// Waits for a peer. The listener's settings must hold `cancel`.
    ///
    /// # Errors
    /// If it does not come in time, or is not the one it should be.
    pub fn accept(listener: &mut Listener, cancel: Cancel) -> Result<Self, Cause> {
        Ok(Self { main: listener.accept()?, cancel })
    }

    /// Connects to a peer. The settings must hold `cancel`.
    ///
    /// # Errors
    /// If it is not there.
    pub fn connect(address: &Address, settings: &Settings, cancel: Cancel) -> Result<Self, Cause> {
        Ok(Self { main: Channel::connect(address, settings)?, cancel })
    }
}
