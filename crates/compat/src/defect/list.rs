//! The list.

use vmstate::Code;

use super::Defect;
use super::repair::RENAME_PAGE_POISON;
use crate::verdict::code;

/// The balloon's page-poison subsection has a misspelt name.
pub const MISSPELT_PAGE_POISON: Defect = Defect {
    name: "misspelt-page-poison",
    releases: "5.2",
    what: "The balloon's page-poison subsection is written as `vitio-balloon-device/page-poison`. The name does not begin \
           with that of the struct it belongs to, so that no reader takes it: no QEMU loads the stream, not even 5.2.",
    remedy: "`vmig edit FILE -o OUT --repair` renames it, and the stream loads. To avoid it, start the source with \
             `page-poison=off` on the balloon.",
    source: "Recorded streams of 5.2, and loads that 7.2 and 10.0.13 refused.",
    codes: &[Code(440)],
    repair: Some(RENAME_PAGE_POISON),
};

/// Every queue is given 1,024 entries, whatever the device asks for.
pub const FORCED_QUEUE_SIZE: Defect = Defect {
    name: "forced-queue-size",
    releases: "10.0.13 (Debian 13)",
    what: "Every queue has 1,024 entries, also where the device has fewer, and the guest may use them all. QEMUs that compare \
           sizes (11.1.3 does) refuse such a queue.",
    remedy: "Load it where queues have 1,024 entries: in another 10.0.13, or with the option that the device has for it \
             (`queue-size`, `virtqueue_size`, `rx_queue_size`, `tx_queue_size`). Queues without one cannot be helped at the \
             destination.",
    source: "What 10.0.13 says of its queues (`vring-num-default` is 1024 for each), and loads of its streams that 11.1.3 refused.",
    codes: &[code::QUEUE_SIZE, code::QUEUE_SIZE_UNKNOWN],
    repair: None,
};

/// The number of descriptors of an element is written before it and read behind it.
pub const MISPLACED_NDESCS: Defect = Defect {
    name: "misplaced-ndescs",
    releases: "7.2, 10.0.13 and 11.1.3",
    what: "A device that offers RING_PACKED, used or not, writes the number of descriptors of a request in flight before the request, \
           and reads it behind. QEMU takes one field for the next, finds a buffer where no memory is, and ends itself.",
    remedy: "Let the source finish its requests before migrating: cure what stopped it, and continue. To avoid it, set `packed=off`.",
    source: "A disk with `packed=on` and a write that failed and waited, saved by each of the releases and loaded in the same; with \
             `packed=off` the same load works.",
    codes: &[code::ELEMENT_ORDER],
    repair: None,
};

/// A persistent memory device has no section.
pub const PMEM_WITHOUT_SECTION: Defect = Defect {
    name: "pmem-without-section",
    releases: "5.2 to 11.1",
    what: "virtio-pmem writes no section and keeps nobody from migrating: the device comes back reset, and the guest waits for \
           its flushes for ever.",
    remedy: "Unplug it before migrating.",
    source: "Recorded streams of machines that have the device: there is nothing of it in them.",
    codes: &[code::NOT_MIGRATED],
    repair: None,
};

/// Parameters of an emulated SCSI command are written by one rule and read by another.
pub const MISREAD_SCSI_PARAMETERS: Defect = Defect {
    name: "misread-scsi-parameters",
    releases: "10.0.13, with machine types since 9.1",
    what: "Of an emulated command with parameters that waits to be tried again (UNMAP, say), QEMU writes the parameters and reads \
           as much as the command has sectors. It loses its place, and the load fails somewhere behind.",
    remedy: "Let the source finish the request before migrating: cure what stopped it, and continue.",
    source: "The rules by which 10.0.13 saves and loads a request of a SCSI disk.",
    codes: &[Code(503)],
    repair: None,
};

/// Counts in the state of SCSI disks are used as they are.
pub const TRUSTED_SCSI_COUNTS: Defect = Defect {
    name: "trusted-scsi-counts",
    releases: "10.0.13; others were not looked at",
    what: "A SCSI disk takes lengths and queue numbers of its requests as they are in the stream: QEMU aborts, or reads beyond a \
           buffer. Streams that QEMU wrote have none that are too large.",
    remedy: "Do not load streams from people you do not trust; `vmig check` finds these.",
    source: "The rules by which 10.0.13 loads a request of a SCSI disk.",
    codes: &[Code(500), Code(501), Code(502)],
    repair: None,
};

/// Asking a device for its status ends QEMU.
pub const STATUS_QUERY_ABORTS: Defect = Defect {
    name: "status-query-aborts",
    releases: "11.1.3",
    what: "QEMU ends itself when it is asked for the status of a virtio device (`x-query-virtio-status`). `vmig profile` does not \
           ask it, and goes by the device's properties, which do not tell every feature.",
    remedy: "Do not use the command on a guest that you need.",
    source: "11.1.3 was asked for the status of net, blk and other devices.",
    codes: &[code::FEATURES_UNKNOWN],
    repair: None,
};

/// A refusal prints features without those it is about.
pub const MASKED_FEATURES: Defect = Defect {
    name: "masked-features",
    releases: "11.1.3",
    what: "Where QEMU refuses features, the line says `Features … unsupported` of those that it keeps: the ones that it refuses, \
           and that one looks for, are not in it.",
    remedy: "`vmig check` compares the stream with the destination, and names them.",
    source: "11.1.3 was given a guest that uses EVENT_IDX, with a disk that does not offer it (`cargo xtask interop check`).",
    codes: &[Code(308), code::FEATURES],
    repair: None,
};

/// All of them.
pub const ALL: &[Defect] = &[
    MISSPELT_PAGE_POISON,
    FORCED_QUEUE_SIZE,
    MISPLACED_NDESCS,
    PMEM_WITHOUT_SECTION,
    MISREAD_SCSI_PARAMETERS,
    TRUSTED_SCSI_COUNTS,
    STATUS_QUERY_ABORTS,
    MASKED_FEATURES,
];
