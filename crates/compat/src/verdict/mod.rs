//! Will a stream load on a destination, and if not, why: every reason, in the order QEMU meets them.
//!
//! [`check`] follows QEMU's load: the configuration section, RAM's block list, then each section in the
//! stream's order. Sections of virtio devices go through the load procedure as devices shaped like the
//! destination's; others are compared by what the two descriptions say of them.
//!
//! # Never wrong
//! What the destination's [`Profile`] does not tell is never guessed. A [`Reason`] is either certain
//! ([`Certainty::Refused`]), or open: it names what would have to be known. A stream is said to load only
//! if nothing is open.

pub mod code;
mod device;
mod features;
mod in_flight;
mod known;
mod layout;
mod machine;
mod pci;
mod queues;
mod ram;
mod reason;
mod sections;

use serde::{Serialize, Serializer};
use virtio::guest::Guest;
use vmstate::Error;
use vmstate::stream::Stream;

pub use reason::{Certainty, Reason};

use crate::profile::Profile;

/// A stream that is to be loaded.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The stream.
    pub stream: &'a Stream,
    /// Its sections, decoded.
    pub guest: &'a Guest,
    /// What ended the stream early, if something did.
    pub stopped: Option<&'a Error>,
}

/// What will come of loading a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// QEMU loads it.
    Loads,
    /// QEMU refuses it.
    Refused,
    /// It depends on something that is not known.
    CannotTell,
}

impl Outcome {
    /// As JSON and tables name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loads => "loads",
            Self::Refused => "refused",
            Self::CannotTell => "cannot-tell",
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Whether a stream loads, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether it loads.
    pub outcome: Outcome,
    /// Why QEMU refuses it, in the order it would find out; it stops at the first.
    pub reasons: Vec<Reason>,
    /// What is not known and could make QEMU refuse it.
    pub open: Vec<Reason>,
    /// What does not keep it from loading and is worth knowing.
    pub warnings: Vec<Reason>,
}

/// Decides whether a destination loads a stream.
#[must_use]
pub fn check(incoming: Incoming<'_>, destination: &Profile) -> Verdict {
    let mut all = Vec::new();
    machine::check(incoming, destination, &mut all);
    sections::check(incoming, destination, &mut all);
    let of = |certainty| {
        all.iter().filter(move |reason: &&Reason| reason.certainty == certainty).cloned().collect()
    };
    let (reasons, open): (Vec<_>, Vec<_>) = (of(Certainty::Refused), of(Certainty::Open));
    let outcome = match (reasons.is_empty(), open.is_empty()) {
        (false, _) => Outcome::Refused,
        (true, false) => Outcome::CannotTell,
        (true, true) => Outcome::Loads,
    };
    Verdict { outcome, reasons, open, warnings: of(Certainty::Warning) }
}
