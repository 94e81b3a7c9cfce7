//! What goes wrong with a device that runs, stops, or is to run again.

use crate::device::DeviceType;
use crate::ring::{RingError, StartError};

/// What a driver did wrong. The device does nothing more until it is reset (virtio 1.3 §2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breakage {
    /// A ring makes no sense.
    #[error("queue {queue}: {error}")]
    Ring {
        /// The queue.
        queue: usize,
        /// What is wrong with it.
        error: RingError,
    },
    /// A queue cannot run as its driver set it up.
    #[error("queue {queue} cannot run: {error}")]
    Start {
        /// The queue.
        queue: usize,
        /// Why.
        error: StartError,
    },
    /// A request makes no sense to the device.
    #[error("queue {queue}: {message}")]
    Request {
        /// The queue that it came from.
        queue: usize,
        /// What is wrong with it.
        message: String,
    },
}

/// Why a device cannot be stopped: a mistake of the device's, not of its driver's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// It holds chains that it does not hand over.
    #[error("queue {queue}: {message}")]
    Chains {
        /// The queue.
        queue: usize,
        /// What is missing.
        message: String,
    },
}

/// Why a device that was stopped cannot go on here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// It is not such a device.
    #[error("the state is that of {found}, expected {expected}")]
    Kind {
        /// What it is of.
        found: String,
        /// What is here.
        expected: String,
    },
    /// It has more queues.
    #[error("the state has queue {queue} in use, but the device here has {queues}")]
    Queues {
        /// The number of one that is not here.
        queue: usize,
        /// How many there are here.
        queues: usize,
    },
    /// A queue cannot run, or what was in flight in it is not there.
    #[error(transparent)]
    Broken(#[from] Breakage),
    /// What the device's own state says cannot be had here.
    #[error("{0}")]
    Device(String),
}

impl ResumeError {
    /// The state of a device of another type than the one that is here.
    #[must_use]
    pub fn other_type(found: &DeviceType, expected: &DeviceType) -> Self {
        Self::Kind { found: found.section.to_owned(), expected: expected.section.to_owned() }
    }
}
