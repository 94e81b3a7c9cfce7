//! Why a migration ended otherwise than it should, and where it was then.

use std::io;

use vmstate::Code;
use vmstate::stream::WriteError;

use crate::channel;
use crate::event::{Side, State};

/// A migration that was given up: in which state, on which side, and why. The source has the guest, unless the cause is
/// [`Cause::Lost`].
#[derive(Debug, thiserror::Error)]
#[error("{side}, in state `{state}`: {cause}")]
pub struct Error {
    /// How far it was.
    pub state: State,
    /// On which side it went wrong.
    pub side: Side,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why a migration was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A channel could not be opened.
    #[error(transparent)]
    Channel(#[from] channel::Error),
    /// A channel cannot be read or written any more.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What comes is no stream that could be read.
    #[error(transparent)]
    Stream(#[from] vmstate::Error),
    /// A stream cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The peer went away.
    #[error("the peer closed the channel {offset} bytes into the stream, before {before}")]
    Closed {
        /// Bytes that had come.
        offset: u64,
        /// What was still to come.
        before: &'static str,
    },
    /// The source would not hear of a failure.
    #[error(
        "the source did not open a return path, so that it would give the guest up before it has arrived; \
         set the capability return-path at the source (migrate_set_capability return-path on)"
    )]
    NoReturnPath,
    /// The source uses something that is not known here.
    #[error("the source has the capability {name} on, which {why}; set it off at the source")]
    Capability {
        /// Its name.
        name: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// Pages go over channels that were not asked for.
    #[error(
        "the source sends pages over channels of their own (multifd): say with --multifd how many \
         (multifd-channels), or set the capability off at the source (migrate_set_capability multifd off)"
    )]
    NoChannels,
    /// A channel that pages go over is not as it should be.
    #[error("multifd: {0}")]
    Multifd(String),
    /// The stream grew beyond what is held in memory.
    #[error("{what} of more than {limit} bytes; --mode hold takes any")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The most it may have.
        limit: u64,
    },
    /// The other side says that it failed.
    #[error("the destination did not take the guest: it reports {value:#x} on the return path")]
    NotTaken {
        /// What it reports.
        value: u32,
    },
    /// The other side went away without a word.
    #[error("the destination closed the channel before it acknowledged the guest; its own log says why")]
    NotAcknowledged,
    /// The return path says something that it should not.
    #[error("on the return path: {0}")]
    ReturnPath(String),
    /// What arrived cannot be kept.
    #[error("cannot keep what arrived: {0}")]
    Keep(#[source] io::Error),
    /// Post-copy was broken off when the guest was neither here nor there.
    #[error(
        "{0}; the guest had been handed over by post-copy, and a part of its RAM had not: it goes on at neither side"
    )]
    Lost(#[source] Box<Cause>),
    /// A check failed, or a change cannot be made.
    #[error("refused: {0}")]
    Refused(String),
}

impl Cause {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Stream(error) => error.code(),
            Self::Channel(_) | Self::Io(_) => Code(700),
            Self::Closed { .. } => Code(701),
            Self::NoReturnPath => Code(702),
            Self::Capability { .. } => Code(703),
            Self::NoChannels | Self::Multifd(_) => Code(704),
            Self::TooLarge { .. } => Code(705),
            Self::NotTaken { .. } | Self::NotAcknowledged => Code(706),
            Self::ReturnPath(_) => Code(707),
            Self::Keep(_) | Self::Write(_) => Code(708),
            Self::Refused(_) => Code(709),
            Self::Lost(_) => Code(710),
        }
    }

    /// Whether it was ended from outside.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Channel(error) => error.is_cancelled(),
            Self::Io(error) | Self::Keep(error) | Self::Write(WriteError::Write(error)) => {
                channel::Error::of(error).is_some_and(channel::Error::is_cancelled)
            }
            Self::Lost(cause) => cause.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn at(self, side: Side, state: State) -> Error {
        Error { state, side, cause: self }
    }
}

impl Error {
    /// The state that the migration ends in.
    #[must_use]
    pub fn ends_as(&self) -> State {
        if self.cause.is_cancelled() { State::Cancelled } else { State::Failed }
    }
}
