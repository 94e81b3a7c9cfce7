//! What the world orders a host to do, and what the host says: one JSON object a line.

use clap::ValueEnum;
use machine::guest::Report;
use migration::event::{Event, State, Summary};
use serde::{Deserialize, Serialize};

/// How devices are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// virtio-mmio
    Mmio,
    /// virtio-pci, with MSI-X
    Pci,
}

/// The format of rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rings {
    /// As in virtio 1.0
    Split,
    /// As since virtio 1.1
    Packed,
}

/// A machine and its guest's work: the same for every host.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) transport: Transport,
    pub(crate) rings: Rings,
    /// Bytes of RAM.
    pub(crate) ram: u64,
    /// Bytes that the guest dirties again and again, and pages of them in a moment.
    pub(crate) dirty: u64,
    pub(crate) dirty_pages: u64,
    pub(crate) blk_queues: u16,
    pub(crate) scsi_queues: u16,
    pub(crate) net_pairs: u16,
}

/// What a host is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Send the guest away, to a channel.
    Depart {
        to: String,
        bandwidth: Option<u64>,
        /// By post-copy, after the first round.
        postcopy: bool,
        /// Rest at the entry of a state, so that something can happen in it.
        rest: Option<String>,
    },
    /// Stop the guest, and say what it did.
    Report,
}

/// What a host says.
#[derive(Debug, Serialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub(crate) enum Word {
    /// The machine stands.
    Ready {
        /// Queues of all its devices.
        queues: u32,
    },
    /// It waits for a guest.
    Listening { channel: String },
    /// Something happened in a migration.
    Migration(Event),
    /// A section is being saved or loaded, or a step of that was done.
    Step(Step),
    /// The guest has gone, or has come.
    Moved(Summary),
    /// A migration was given up.
    Failed { state: State, error: String },
    /// What the guest did.
    Report {
        report: Report,
        /// Pages that do not hold what was last written to them.
        bad_pages: u64,
        /// Devices that are broken, and what the guest met that it could not go on from.
        broken: Vec<String>,
    },
}

/// A step of the save or the load procedure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// `save` or `load`.
    pub(crate) procedure: String,
    /// The section that it begins; nothing for a step within it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) section: String,
    /// `core`, `transport` or `device`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) layer: String,
    /// What is done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) step: String,
}
