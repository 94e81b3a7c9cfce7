//! What a running block device has done.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// What a running block device has done. Clones are the same tally: it can be looked at while the device runs.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<Served>>);

/// What a block device has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests that were answered, by queue and by type, in a word: `read`, `write`, `flush`, ….
    pub queues: BTreeMap<usize, BTreeMap<&'static str, u64>>,
    /// Requests that are left to the device in whose place it stands.
    pub left: u64,
    /// Requests that were done and not returned: that device does them again, and tells the driver.
    pub again: u64,
    /// Why its disk failed, if it did.
    pub failed: Option<String>,
}

impl Tally {
    /// What was done so far.
    #[must_use]
    pub fn so_far(&self) -> Served {
        self.0.lock().clone()
    }

    pub(super) fn serve(&self, queue: usize, name: &'static str) {
        *self.0.lock().queues.entry(queue).or_default().entry(name).or_default() += 1;
    }

    pub(super) fn repeat(&self) {
        self.0.lock().again += 1;
    }

    pub(super) fn leave(&self) {
        self.0.lock().left += 1;
    }

    pub(super) fn fail(&self, why: &dyn fmt::Display) {
        self.0.lock().failed = Some(why.to_string());
    }
}

impl Served {
    /// Whether nothing was answered.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.queues.is_empty()
    }
}
