//! The other end of a channel.

use std::time::Duration;

use crate::channel::{Address, Cancel, Channel, Listener, Settings};
use crate::error::Cause;
use crate::multifd;

/// How long the channels that follow a first one may take.
const FOLLOW: Duration = Duration::from_secs(30);

/// A connected peer.
#[derive(Debug)]
pub struct Peer {
    /// The channel.
    pub main: Channel,
    /// Further channels, for pages (multifd).
    pub others: Vec<Channel>,
    /// Breaks it off.
    pub cancel: Cancel,
}

impl Peer {
    /// Waits for a peer. The listener's settings must hold `cancel`.
    ///
    /// # Errors
    /// If it does not come in time, or is not the one it should be.
    pub fn accept(listener: &mut Listener, cancel: Cancel) -> Result<Self, Cause> {
        Ok(Self { main: listener.accept()?, others: Vec::new(), cancel })
    }

    /// Waits for a peer that opens so many channels beside its main one, in any order.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), or if a channel does not say what it is.
    pub fn accept_all(listener: &mut Listener, others: u8, cancel: Cancel) -> Result<Self, Cause> {
        if others == 0 {
            return Self::accept(listener, cancel);
        }
        let mut channels = vec![listener.accept()?];
        for _ in 0..others {
            channels.push(listener.accept_within(Some(FOLLOW))?);
        }
        let (main, others) = multifd::sort(channels)?;
        Ok(Self { main, others, cancel })
    }

    /// Connects to a peer. The settings must hold `cancel`.
    ///
    /// # Errors
    /// If it is not there.
    pub fn connect(address: &Address, settings: &Settings, cancel: Cancel) -> Result<Self, Cause> {
        Ok(Self { main: Channel::connect(address, settings)?, others: Vec::new(), cancel })
    }

    /// Connects to a peer with so many channels beside the main one, which comes first.
    ///
    /// # Errors
    /// If it is not there.
    pub fn connect_all(
        address: &Address,
        others: u8,
        settings: &Settings,
        cancel: Cancel,
    ) -> Result<Self, Cause> {
        let main = Channel::connect(address, settings)?;
        let others = (0..others).map(|_| Channel::connect(address, settings));
        Ok(Self { main, others: others.collect::<Result<_, _>>()?, cancel })
    }
}
