//! The other end of a channel.

use std::io::Write;
use std::time::Duration;

use crate::channel::{Address, Cancel, Channel, Listener, Settings};
use crate::error::Cause;
use crate::multifd::{self, Initial};

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

    /// Connects to a peer, with channels beside the main one. Each of them says at once which it is: QEMU takes no
    /// further channel before it knows that.
    ///
    /// # Errors
    /// If it is not there.
    pub fn connect_all(
        address: &Address,
        others: &[Initial],
        settings: &Settings,
        cancel: Cancel,
    ) -> Result<Self, Cause> {
        let main = Channel::connect(address, settings)?;
        let connect = |initial: &Initial| {
            let mut channel = Channel::connect(address, settings)?;
            channel.halves().1.write_all(&initial.save())?;
            Ok::<_, Cause>(channel)
        };
        let others = others.iter().map(connect).collect::<Result<_, _>>()?;
        Ok(Self { main, others, cancel })
    }

    /// What the channels beside the main one have said of themselves, for those that go on to another peer. To be
    /// asked for once.
    ///
    /// # Errors
    /// If one says what makes no sense, or goes away.
    pub fn initials(&mut self) -> Result<Vec<Initial>, Cause> {
        self.others.iter_mut().map(|channel| Initial::read(channel.halves().0)).collect()
    }
}
