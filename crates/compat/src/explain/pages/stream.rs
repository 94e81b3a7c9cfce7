//! `VM00xx`: the input as a whole.

use vmstate::Code;

use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        code: Code(1),
        title: "The input cannot be read.",
        meaning: "The operating system did not give the bytes that were asked for. It says nothing about the stream.",
        cause: "A file on a broken disk or network share, a pipe whose writer went away, missing permission.",
        qemu: "load of migration failed: Input/output error",
        remedy: "Copy the file to a local disk and try again.",
        example: "error[VM0001]: guest.mig: at 0x4000: cannot read: Input/output error",
    },
    Page {
        code: Code(2),
        title: "The input ends inside a field.",
        meaning: "A field needs more bytes than there are: in the file, or in the section that the field is in. What came \
                  before was read.",
        cause: "The stream was cut (migration cancelled, disk full, a copy that did not finish); or the section has \
                another layout than the one it is read with, so that a wrong number was taken for a length.",
        qemu: "load of migration failed: Input/output error",
        remedy: "If it is the end of the file, save the guest again: a stream does not load without its end. If it is the \
                 end of a section, look at the section with `vmig inspect --section NAME`, and check that source and \
                 destination have the same device options.",
        example: "error[VM0002]: guest.mig: ram at 0x12f040: needs 4096 bytes, 192 are left",
    },
    Page {
        code: Code(3),
        title: "Bytes are left over after the last field.",
        meaning: "A section was read to its end as its device has it, and is longer than that.",
        cause: "The section was written with an option that adds to it, or by a QEMU that writes more than this vmig knows.",
        qemu: "Missing section footer for 0000:00:03.0/virtio-net",
        remedy: "Give the destination's device the options and machine type of the source. If QEMU loads the stream and \
                 vmig does not read it, report it with a stream made by `vmig redact`.",
        example: "VM0003 0000:00:07.0/virtio-mem at 0x4a2f1: 40 bytes are left over after the last field",
    },
    Page {
        code: Code(10),
        title: "This is not a migration stream.",
        meaning: "A stream begins with the four bytes `QEVM`; this does not, and is in no container that vmig knows.",
        cause: "A disk image, a memory dump, or an archive instead of a stream; a stream with something in front of it.",
        qemu: "Not a migration stream",
        remedy: "Use the file that `migrate file:…` or `virsh save` wrote. An internal snapshot of a qcow2 image is named \
                 with it: `disk.qcow2#SNAPSHOT`.",
        example: "error[VM0010]: disk.img: at 0x0: not a migration stream: begins with 0x514649fb, expected 0x5145564d (\"QEVM\")",
    },
    Page {
        code: Code(11),
        title: "The stream has another file version than 3.",
        meaning: "Streams of version 2 are older than QEMU 0.10; there never was a later one than 3.",
        cause: "A very old stream, or damage in the first eight bytes.",
        qemu: "Unsupported migration stream version",
        remedy: "Save the guest again.",
        example: "error[VM0011]: old.mig: at 0x4: stream version 2, expected 3",
    },
];
