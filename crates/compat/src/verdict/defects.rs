//! Known defects of QEMU releases that decide about a load, with where they are known from.

use crate::profile::Release;

/// A defect of releases of QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// A short name.
    pub name: &'static str,
    /// Which releases have it.
    pub releases: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// What helps.
    pub remedy: &'static str,
    /// Where it is known from.
    pub source: &'static str,
}

/// Every queue is given 1,024 entries, whatever the device asks for.
pub const FORCED_QUEUE_SIZE: Defect = Defect {
    name: "forced-queue-size",
    releases: "10.0.13 (Debian 13)",
    what: "every queue has 1,024 entries, also where the device has fewer, and the guest may use them all",
    remedy: "load it where queues have 1,024 entries: another 10.0.13, or with the options that the device has for it",
    source: "recorded streams and x-query-virtio-queue-status of 10.0.13: vring-num-default is 1024 for every queue",
};

/// The balloon's page-poison subsection has a misspelt name.
pub const MISSPELT_PAGE_POISON: Defect = Defect {
    name: "misspelt-page-poison",
    releases: "5.2",
    what: "the balloon's page-poison subsection is written as `vitio-balloon-device/page-poison`, which no release reads",
    remedy: "rename the subsection to virtio-balloon-device/page-poison, or start the source with page-poison=off",
    source: "recorded streams of 5.2, refused by 5.2, 7.2 and 10.0.13",
};

/// A persistent memory device has no section.
pub const PMEM_WITHOUT_SECTION: Defect = Defect {
    name: "pmem-without-section",
    releases: "5.2 to 11.1",
    what: "virtio-pmem writes no section, so that the device comes back reset and the guest's flushes hang",
    remedy: "unplug it before migrating",
    source: "recorded streams: a machine with the device writes nothing of it",
};

/// All of them.
pub const ALL: [Defect; 3] = [FORCED_QUEUE_SIZE, MISSPELT_PAGE_POISON, PMEM_WITHOUT_SECTION];

/// The first release that is taken to refuse queues with more entries than its own device has: 10.0.13
/// does not, 11.1.3 does (recorded loads); nothing is recorded of those in between.
pub const COMPARES_QUEUE_SIZES: Release = Release(10, 1);
/// The first release that is known to.
pub const KNOWN_TO_COMPARE_QUEUE_SIZES: Release = Release(11, 1);

/// The option that gives a queue of a device more entries, by the name of the device's section.
///
/// Of net's queues the control queue, which is the last, has none; of scsi's all have it.
pub const QUEUE_SIZE_OPTIONS: [(&str, &str); 4] = [
    ("virtio-blk", "queue-size"),
    ("vhost-user-blk", "queue-size"),
    ("virtio-scsi", "virtqueue_size"),
    ("virtio-vhost_scsi", "virtqueue_size"),
];
