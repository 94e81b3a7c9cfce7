//! What happens during a migration, as it happens: the progress bar, the log and the tests read the same.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The states of a migration, as QEMU names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The channel stands; machine type, capabilities and the block list go over.
    Setup,
    /// RAM goes over, and the guest runs at the source.
    Active,
    /// The guest is stopped; what RAM is left, and the state of the devices, go over.
    Device,
    /// Post-copy: the devices have gone over, and the destination has not said yet that it has loaded them.
    PostcopyDevice,
    /// Post-copy: the guest runs at the destination, and RAM follows it.
    PostcopyActive,
    /// The other side has acknowledged.
    Completed,
    /// It was given up; the source has the guest, unless that had been handed over by post-copy.
    Failed,
    /// It was ended from outside; the source has the guest, with the same exception.
    Cancelled,
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Active => "active",
            Self::Device => "device",
            Self::PostcopyDevice => "postcopy-device",
            Self::PostcopyActive => "postcopy-active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which end something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The guest comes from there.
    In,
    /// The guest goes there.
    Out,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "from the source",
            Self::Out => "to the destination",
        })
    }
}

/// How far RAM is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Bytes of the stream so far.
    pub bytes: u64,
    /// Pages with content; one that went twice counts twice.
    pub normal: u64,
    /// Pages of zeros.
    pub zero: u64,
    /// Pages of which only changes went (XBZRLE).
    pub xbzrle: u64,
    /// Pages that went again: the guest had written to them.
    pub again: u64,
    /// Bytes of RAM that have not gone even once.
    pub remaining: u64,
    /// Bytes of all RAM.
    pub total: u64,
}

/// A section of device state that was read, and what that took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceTime {
    /// Its name.
    pub name: String,
    /// Bytes of its state.
    pub bytes: u64,
    /// From its first byte to its last, as they arrived or went.
    #[serde(serialize_with = "seconds")]
    pub transfer: Duration,
    /// How long it took to stop and save it, where that happened here.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_seconds")]
    pub save: Option<Duration>,
    /// How long it took to load it, where that happened here.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_seconds")]
    pub load: Option<Duration>,
}

/// Where the time went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// From the first byte to the acknowledgement.
    #[serde(serialize_with = "seconds")]
    pub total: Duration,
    /// From the guest's stop to the acknowledgement, as far as the stream shows when the guest stopped; by post-copy
    /// until it runs at the destination.
    #[serde(serialize_with = "seconds")]
    pub downtime: Duration,
    /// The part of it in which the rest of RAM went; by post-copy, in which it was said what is out of date.
    #[serde(serialize_with = "seconds")]
    pub ram: Duration,
    /// The part of it in which device state went.
    #[serde(serialize_with = "seconds")]
    pub devices: Duration,
    /// The part of it in which it was checked, and changed if that was asked for.
    #[serde(serialize_with = "seconds")]
    pub check: Duration,
    /// The part of it that passed until the acknowledgement came: the destination's load.
    #[serde(serialize_with = "seconds")]
    pub acknowledgement: Duration,
    /// How much RAM went.
    pub progress: Progress,
    /// The devices, in the order of the stream.
    pub device_times: Vec<DeviceTime>,
    /// What came late, if the guest went by post-copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcopy: Option<Late>,
}

/// What a guest that went by post-copy had to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Late {
    /// Bytes of RAM that were still at the source when the guest was handed over.
    pub bytes: u64,
    /// Pages that were asked for.
    pub requested: u64,
    /// From a fault until its page was there: of half of them at most this. The destination knows.
    #[serde(serialize_with = "seconds")]
    pub median: Duration,
    /// Of all of them at most this.
    #[serde(serialize_with = "seconds")]
    pub longest: Duration,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn some_seconds<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds(&duration.unwrap_or_default(), serializer)
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// Peers may come.
    Listening {
        /// To this channel.
        channel: String,
    },
    /// A side is in another state.
    State {
        /// Which side.
        side: Side,
        /// The state.
        state: State,
    },
    /// RAM is so far.
    Progress {
        /// Which side.
        side: Side,
        /// How far.
        #[serde(flatten)]
        progress: Progress,
    },
    /// A round of pre-copy is over.
    Round {
        /// Which side.
        side: Side,
        /// Bytes that went in it.
        gone: u64,
        /// Bytes of pages that were written meanwhile, and have to go again.
        left: u64,
        /// How long it took.
        #[serde(serialize_with = "seconds")]
        took: Duration,
        /// How much the guest was throttled in it, in percent.
        throttled: u8,
    },
    /// A device's requests were served while the guest was held.
    Served {
        /// The device's section.
        section: String,
        /// How many in each queue, by what they asked for.
        queues: BTreeMap<usize, BTreeMap<&'static str, u64>>,
        /// How many of them the destination does once more, to tell the driver.
        again: u64,
        /// How many others are left for the destination, which alone can serve them.
        left: u64,
    },
    /// Something was mended or changed on the way.
    Changed {
        /// What.
        what: String,
    },
    /// The checks found something that does not keep it from loading.
    Warning {
        /// What.
        what: String,
    },
}

/// Whoever wants to know. Called from several threads, and waited for.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Sync> Observer for F {
    fn event(&self, event: Event) {
        self(event);
    }
}
