//! What keeps a channel from being made, and what ends one.
//!
//! [`std::io::Read`] and [`std::io::Write`] can only tell of an [`io::Error`]: an [`Error`] travels inside
//! one, and [`Error::of`] takes it out again.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::address::AddressError;

/// What a channel was doing when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Looking for the peer.
    Connecting,
    /// Waiting for a peer to come.
    Accepting,
    /// Agreeing on keys with the peer, and seeing who it is.
    Handshaking,
    /// Taking bytes from the peer.
    Reading,
    /// Giving bytes to the peer.
    Writing,
    /// Telling the peer that no more will come, and waiting for a command to end.
    Closing,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting to",
            Self::Accepting => "waiting for a peer at",
            Self::Handshaking => "in the TLS handshake with",
            Self::Reading => "reading from",
            Self::Writing => "writing to",
            Self::Closing => "closing",
        })
    }
}

/// What keeps a channel from being made, or what ended it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// [`super::Cancel`] was set, by a signal or by another thread.
    #[error("cancelled while {doing} {channel}")]
    Cancelled {
        /// The channel's address.
        channel: String,
        /// What was cut short.
        doing: Doing,
    },
    /// The peer does not take or give bytes, or too slowly.
    #[error(
        "stalled {doing} {channel}: {moved} bytes came through in {waited:.1?} of waiting, expected at least \
         {expected}; is the peer still running, and the network between?"
    )]
    Stalled {
        /// The channel's address.
        channel: String,
        /// Which way the bytes should have moved.
        doing: Doing,
        /// How long somebody waited.
        waited: Duration,
        /// Bytes that moved in that time.
        moved: u64,
        /// Bytes that should have moved at the least.
        expected: u64,
    },
    /// No connection, no peer or no handshake within the time set for it.
    #[error("no answer within {after:.1?} while {doing} {channel}; is the other side started and reachable?")]
    TimedOut {
        /// The channel's address.
        channel: String,
        /// What took too long.
        doing: Doing,
        /// The time it had.
        after: Duration,
    },
    /// Nobody listens there.
    #[error("nobody listens at {channel} ({error}); start the destination first (`-incoming {channel}`)")]
    Refused {
        /// The channel's address.
        channel: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// A host has no address.
    #[error("cannot find the host `{host}`: {error}")]
    Resolve {
        /// The name as it was given.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// The channel cannot be opened for another reason.
    #[error("cannot open {channel}: {error}")]
    Open {
        /// The channel's address.
        channel: String,
        /// Why.
        error: io::Error,
    },
    /// A place to listen at cannot be had.
    #[error("cannot listen at {channel}: {error}")]
    Listen {
        /// The address.
        channel: String,
        /// Why.
        error: io::Error,
    },
    /// A socket is to be made where a file of another kind is.
    #[error("{} is there already and is no socket: it is not replaced; remove it, or name another path", path.display())]
    NotSocket {
        /// What is there.
        path: PathBuf,
    },
    /// A file, a command or a descriptor carries one channel, and that one has been given.
    #[error("{channel} carries one channel, and a second one is expected; use tcp: or unix: for several")]
    OnlyOne {
        /// The address.
        channel: String,
    },
    /// An inherited descriptor cannot be used.
    #[error("cannot use descriptor {number}: {reason}")]
    Descriptor {
        /// Its number.
        number: u32,
        /// Why, and what would help.
        reason: String,
    },
    /// The channel goes the other way only.
    #[error("{doing} {channel} is not possible: it goes the other way only")]
    OneWay {
        /// The channel's address.
        channel: String,
        /// What was tried.
        doing: Doing,
    },
    /// A command ended with a failure.
    #[error("the command of {channel} failed: {status}; what it printed on standard error says why")]
    Command {
        /// The channel's address.
        channel: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A command did not end although its channel was closed, and was killed.
    #[error(
        "the command of {channel} did not end within {after:.1?} after its channel was closed, and was killed"
    )]
    CommandKilled {
        /// The channel's address.
        channel: String,
        /// The time it had.
        after: Duration,
    },
    /// A file of the TLS directory cannot be used.
    #[error("cannot use {} for TLS: {reason}", file.display())]
    Credentials {
        /// The file.
        file: PathBuf,
        /// What was expected and found, and what to do.
        reason: String,
    },
    /// TLS has no name to check the peer's certificate against.
    #[error(
        "{channel} does not say which host its certificate should name; give the name as QEMU's tls-hostname does"
    )]
    NoHostname {
        /// The channel's address.
        channel: String,
    },
    /// The peer's certificate, or what it says in TLS, is not accepted, or it does not accept ours.
    #[error("TLS with {channel} failed {doing} it: {error}{}", super::tls::advice(error))]
    Tls {
        /// The channel's address.
        channel: String,
        /// What was being done: [`Doing::Handshaking`], or later.
        doing: Doing,
        /// What is wrong.
        error: rustls::Error,
    },
    /// The peer closed the connection during the handshake.
    #[error(
        "{channel} closed the connection in the TLS handshake; does the other side use TLS (`tls-creds`)?"
    )]
    HandshakeEnded {
        /// The channel's address.
        channel: String,
    },
    /// The connection broke.
    #[error("{doing} {channel} failed: {error}")]
    Io {
        /// The channel's address.
        channel: String,
        /// What was being done.
        doing: Doing,
        /// What the kernel says.
        error: io::Error,
    },
}

impl Error {
    /// The channel's error inside an [`io::Error`], if there is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether [`super::Cancel`] ended it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Stalled { .. } | Error::TimedOut { .. } => io::ErrorKind::TimedOut,
            Error::Refused { error, .. } | Error::Io { error, .. } | Error::Open { error, .. } => {
                error.kind()
            }
            // Not `Interrupted`: whoever sees that tries again.
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_travels_inside_that_of_io() {
        let error = Error::Cancelled { channel: "unix:/a".to_owned(), doing: Doing::Reading };
        let outside = io::Error::from(error);
        assert_ne!(outside.kind(), io::ErrorKind::Interrupted, "read_exact would try again");
        assert!(Error::of(&outside).unwrap().is_cancelled());
        assert_eq!(outside.to_string(), "cancelled while reading from unix:/a");
        assert!(Error::of(&io::Error::other("else")).is_none());
    }
}
