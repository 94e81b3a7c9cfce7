//! `VM05xx`: sections beside a device's own.

use vmstate::Code;

use super::Page;
use crate::defect::MISREAD_SCSI_PARAMETERS;

pub(super) const PAGES: &[Page] = &[
    Page {
        code: Code(500),
        title: "scsi-disk: there is more sense data than a device can have.",
        meaning: "There are 252 bytes at most. QEMU does not check, and reads beyond them when the guest asks.",
        cause: "A changed stream.",
        qemu: "",
        remedy: "Do not run the guest from this stream.",
        example: "VM0500 loads: sense_len is 253, at most 252; QEMU does not check",
    },
    Page {
        code: Code(501),
        title: "scsi-disk: a request is of a queue that its host does not have.",
        meaning: "Requests in flight are put back into the queue they came from. QEMU aborts.",
        cause: "A changed stream, or a section read with another layout (requests with and without their data).",
        qemu: "",
        remedy: "Use the machine type of the source.",
        example: "VM0501 does not load: request 0 is of queue 1022, expected less than 1022: QEMU aborts",
    },
    Page {
        code: Code(502),
        title: "scsi-disk: a request has more data than its buffer.",
        meaning: "QEMU aborts.",
        cause: "A changed stream, or a section read with another layout.",
        qemu: "",
        remedy: "Use the machine type of the source.",
        example: "VM0502 does not load: request 0 has 513 bytes of data, at most 512 (buflen): QEMU aborts",
    },
    Page {
        code: Code(503),
        title: "scsi-disk: QEMU does not read back what it wrote.",
        meaning: MISREAD_SCSI_PARAMETERS.what,
        cause: "A command that failed and waits to be tried again (`werror=stop`), on machine types since 9.1.",
        qemu: "invalid SCSI request migration data",
        remedy: MISREAD_SCSI_PARAMETERS.remedy,
        example: "VM0503 does not load: request 0 (command 0x42) was written with 24 bytes of data, of which QEMU reads 0",
    },
];
