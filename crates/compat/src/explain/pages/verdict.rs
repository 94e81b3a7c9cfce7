//! `VM06xx`: why a stream does not load on a destination. Titles are those of [`code`].

use vmstate::Code;

use super::Page;
use crate::defect::MISPLACED_NDESCS;
use crate::verdict::code;

/// The title that the code has in its own table.
const fn title(code: Code) -> &'static str {
    let mut rest = code::ALL;
    while let [(known, title), tail @ ..] = rest {
        if known.0 == code.0 {
            return title;
        }
        rest = tail;
    }
    ""
}

macro_rules! pages {
    ($($code:ident { $($field:ident: $text:expr,)* })*) => {
        pub(super) const PAGES: &[Page] = &[
            $(Page { code: code::$code, title: title(code::$code), $($field: $text,)* },)*
        ];
    };
}

pages! {
    MACHINE {
        meaning: "Devices, their addresses and their layouts follow from the machine type. QEMU compares the names and refuses another.",
        cause: "The destination was started with another machine type, or with an alias (`pc`, `q35`) that means another version there.",
        qemu: "Machine type received is 'pc-q35-10.0' and local is 'pc-q35-11.1'",
        remedy: "Start the destination with the machine type that the stream names, version included.",
        example: "VM0600 refused: machine type: pc-q35-10.0, expected pc-q35-11.1",
    }
    PAGE_SIZE {
        meaning: "RAM is sent in pages of the target's size; both sides must have the same.",
        cause: "Another CPU model (Arm), or an older machine type.",
        qemu: "Received TARGET_PAGE_BITS is 12 but local is 10",
        remedy: "Use the machine type and CPU of the source.",
        example: "VM0601 refused: target_page_bits: 12, expected 10",
    }
    CAPABILITY {
        meaning: "With mapped-ram and x-ignore-shared RAM is not where a reader without them looks for it.",
        cause: "The capability was set at the source alone.",
        qemu: "Capability mapped-ram is off, but received capability is on",
        remedy: "Set it at the destination before it loads: `migrate_set_capability mapped-ram on`.",
        example: "VM0602 refused: mapped-ram: on, expected off",
    }
    UUID {
        meaning: "With the capability validate-uuid the destination compares the machine's UUID.",
        cause: "The destination was started with another `-uuid`.",
        qemu: "UUID received is 33a5… and local is 91b0…",
        remedy: "Start the destination with the source's `-uuid`, or turn validate-uuid off at the source.",
        example: "VM0603 cannot tell: uuid: a UUID that is to be compared, not known",
    }
    ENDS_EARLY {
        meaning: "The state of the guest is not all there, so nothing can run from it.",
        cause: "The file was cut, or the migration failed at the source.",
        qemu: "load of migration failed: Input/output error",
        remedy: "Get the whole stream.",
        example: "VM0604 refused: stream: at 0x12f040: needs 4096 bytes, 192 are left",
    }
    RAM_BLOCK {
        meaning: "RAM is sent in blocks with names: main memory, firmware, video memory, option ROMs. The destination must have each.",
        cause: "A device with memory is missing or at another address; a memory object has another id.",
        qemu: "Unknown ramblock \"0000:00:03.0/virtio-net-pci.rom\", cannot accept migration",
        remedy: "Put the device at the address that the block's name begins with, or use the source's memory objects.",
        example: "VM0610 refused: 0000:00:03.0/virtio-net-pci.rom: 0x40000 bytes, expected no such block",
    }
    RAM_SIZE {
        meaning: "A block that cannot be resized must have the source's size. Of those that can, the source's must fit.",
        cause: "Another `-m`; firmware or an option ROM of another size, since they come with the QEMU that is installed.",
        qemu: "Size mismatch: pc.bios: 0x20000 != 0x10000: Invalid argument",
        remedy: "Give `-m`, `-bios` or `romfile=` as at the source.",
        example: "VM0611 refused: pc.bios: 0x20000, expected 0x10000",
    }
    RAM_UNKNOWN {
        meaning: "Whether blocks and sizes are the same cannot be told.",
        cause: "The profile was made without a stream and without asking over QMP.",
        qemu: "",
        remedy: "Record the destination with a stream it wrote right after start, or over QMP: `vmig profile`.",
        example: "VM0612 cannot tell: blocks: 9, not known",
    }
    SECTION {
        meaning: "A section is loaded by the device of its name, which begins with the device's address. Nobody has this one.",
        cause: "The device is missing at the destination, or at another address: device order and `addr=` decide that.",
        qemu: "Unknown savevm section or instance '0000:00:04.0/virtio-blk' 0. Make sure that your current VM setup matches your \
               saved VM setup, including any hotplugged devices",
        remedy: "Give the destination the same devices at the same addresses, also those that were hot-plugged.",
        example: "VM0620 refused: 0000:00:04.0/virtio-blk, instance 0, expected no such section; there is 0000:00:05.0/virtio-blk",
    }
    SECTION_VERSION {
        meaning: "The source writes a newer version of the section than the destination reads.",
        cause: "Migration to an older QEMU, with a machine type that does not keep the old version.",
        qemu: "savevm: unsupported version 3 for '0000:00:1f.0/ICH9LPC' v2",
        remedy: "Load it in a QEMU as new as the source's.",
        example: "VM0621 refused: version: 3, expected at most 2",
    }
    SECTIONS_UNKNOWN {
        meaning: "Whether each section has somebody to load it cannot be told.",
        cause: "The profile was made without a stream.",
        qemu: "",
        remedy: "Add a stream that the destination wrote right after start (`-S`): `vmig profile`.",
        example: "VM0622 cannot tell: sections: 31, not known",
    }
    SUBSECTION {
        meaning: "A reader cannot skip a subsection that it does not know. The load fails.",
        cause: "The source is newer, and the device uses something that came with it.",
        qemu: "error while loading state for instance 0x0 of device '0000:00:03.0/virtio-net'",
        remedy: "Load it in a newer QEMU, or turn off at the source what needs the subsection.",
        example: "VM0623 refused: virtio/128bit_features: there, expected not known to 10.0.13",
    }
    SUBSECTION_UNKNOWN {
        meaning: "If the destination does not know the subsection, the load fails.",
        cause: "Nothing that was recorded of the destination's release has it.",
        qemu: "error while loading state for instance 0x0 of device '0000:00:03.0/virtio-net'",
        remedy: "Ask the destination's binary: `qemu-system-… -machine TYPE -dump-vmstate F`, then `vmig schema --against F`.",
        example: "VM0624 cannot tell: cpu/wfxt-timer: there, not known",
    }
    LAYOUT {
        meaning: "The destination takes more or fewer bytes than there are, and loses its place.",
        cause: "Another number of CPUs, ports, channels or slots.",
        qemu: "Missing section footer for 0000:00:1f.0/ICH9LPC",
        remedy: "Set the device up as at the source.",
        example: "VM0625 refused: pm.cpuhp_state.devs: 8 elements, expected 4",
    }
    LAYOUT_UNKNOWN {
        meaning: "The two sides' descriptions of the section are not the same, and it does not follow whether the reader copes.",
        cause: "Fields that are there under a condition, in different releases or set-ups.",
        qemu: "",
        remedy: "Try it; a load that fails does no harm to the source.",
        example: "VM0626 cannot tell: fields: 212 bytes, 208 bytes",
    }
    COMPARED {
        meaning: "Some fields are sent only to be compared, since the state would be that of another device.",
        cause: "The device is set up otherwise.",
        qemu: "4 != 1",
        remedy: "Set the device up as at the source.",
        example: "VM0627 refused: max_cpus: 8, expected 4",
    }
    CPUS {
        meaning: "The state of CPU hotplug has an element for each CPU that can be, and is read with as many as the destination has.",
        cause: "Another `-smp …,maxcpus=`.",
        qemu: "Missing section footer for 0000:00:1f.0/ICH9LPC",
        remedy: "Give the destination as many CPUs as the source can have.",
        example: "VM0628 refused: cpuhp_state.devs: 4, expected 2",
    }
    PCI_CONFIG {
        meaning: "QEMU compares those bits of the configuration space that the guest cannot write: identity, class, base address registers, \
                  capabilities. The driver has read them, and would go on with what is no longer so.",
        cause: "Another number of vectors, a legacy or modern device in place of the other, another bus, other capabilities (`ats`, `aer`), \
                another machine type.",
        qemu: "get_pci_config_device: Bad config data: i=0x9a read: 2 device: 4 cmask: ff wmask: 0 w1cmask:0",
        remedy: "Give the destination's device the options of the source.",
        example: "VM0630 refused: config[0x9a] (MSI-X table size): 2, expected 4",
    }
    PCI_CONFIG_SIZE {
        meaning: "An express device has 4,096 bytes of configuration space, a conventional one 256. The reader takes as many as its own.",
        cause: "The device is behind a PCI Express port at one side, and on the root bus at the other.",
        qemu: "Failed to load PCIDevice:config",
        remedy: "Put it on the same kind of bus.",
        example: "VM0631 refused: config: 4096 bytes, expected 256 bytes",
    }
    FEATURES {
        meaning: "The driver negotiated them at the source, and cannot be told otherwise while it runs.",
        cause: "Other options, another machine type, another back-end or an older host kernel at the destination.",
        qemu: "Features 0x1c0010130afffaf unsupported. Allowed features: 0x10179bfffef",
        remedy: "Turn the features on at the destination, or off at the source before the guest boots.",
        example: "VM0640 refused: guest_features: 0x1c0010130afffaf, expected without 0x1c0000000000000 (GUEST_USO4, GUEST_USO6, HOST_USO)",
    }
    FEATURES_UNKNOWN {
        meaning: "What a device offers depends on its options and on what is behind it; a stream tells only what was used.",
        cause: "The profile was made of a stream alone.",
        qemu: "",
        remedy: "Ask the destination: `vmig profile qmp:PATH`.",
        example: "VM0641 cannot tell: guest_features: 0x8000, not known whether they are offered",
    }
    FEATURES_LOST {
        meaning: "A device that offers no feature above 31 gives them up when it loads, and says nothing. The driver goes on with a modern \
                  device's rings, which the device reads as a legacy one's.",
        cause: "`disable-modern=on`, `force-legacy=on` or a small `max_revision` at the destination.",
        qemu: "",
        remedy: "Give the destination's device the options of the source.",
        example: "VM0642 loads: guest_features: 0x100000000, expected none above 31",
    }
    QUEUE_SIZE {
        meaning: "The destination allocated fewer entries than the guest's ring has. QEMUs since 11.1 compare, and refuse.",
        cause: "Another `queue-size`; or a source that gives every queue 1,024 entries whatever the device asks for.",
        qemu: "VQ 0 vring.num 1024 exceeds allocated max 256",
        remedy: "Where the device has an option for it, set it to the source's size (`queue-size`, `virtqueue_size`, `rx_queue_size`, \
                 `tx_queue_size`). Queues without one cannot be helped at the destination.",
        example: "VM0650 refused: queues[0].num: 1024, expected at most 256",
    }
    QUEUE_SIZE_UNKNOWN {
        meaning: "Older QEMUs load such queues, newer ones refuse them, and the destination's version is not known well enough.",
        cause: "The profile was made of a stream alone.",
        qemu: "VQ 0 vring.num 1024 exceeds allocated max 256",
        remedy: "Record the destination's version: `vmig profile`.",
        example: "VM0651 cannot tell: queues[0].num: 1024, at most 256",
    }
    DEVICE_LAYOUT {
        meaning: "Some options change the layout of a device's data and leave no mark in it. The destination reads it with its own.",
        cause: "Another machine type, or another number of queues or queue pairs.",
        qemu: "error while loading state for instance 0x0 of device '0000:00:03.0/virtio-net'",
        remedy: "Give the destination's device the source's options, or start it with the source's machine type.",
        example: "VM0660 refused: virtio-gpu › scanouts: needs 24 bytes, 0 are left",
    }
    DEVICE_VALUE {
        meaning: "The device compares a value with its own, or cannot do what it says.",
        cause: "Another option of the device or its back-end: queue pairs, vnet headers, screens, ports, a memory device's address.",
        qemu: "virtio-net: saved image requires vnet_hdr=on",
        remedy: "Set what the reason names.",
        example: "VM0661 refused: max_queue_pairs: 4, expected 1",
    }
    DEVICE_UNREAD {
        meaning: "vmig could not read the device's section, so it cannot say what QEMU would make of it.",
        cause: "A damaged section, or a layout that vmig does not know.",
        qemu: "",
        remedy: "`vmig inspect` says where it went wrong.",
        example: "VM0662 cannot tell: section: at 0x6f1e5: 4096 queues, at most 1024",
    }
    ELEMENT_ORDER {
        meaning: MISPLACED_NDESCS.what,
        cause: "The source was stopped with a request in flight (by `werror=stop` and a full disk, say), and its device has `packed=on`.",
        qemu: "virtio: unexpected memory split",
        remedy: MISPLACED_NDESCS.remedy,
        example: "VM0663 refused: element.ndescs: before each of 1 elements, expected behind each",
    }
    DEVICE_RESET {
        meaning: "QEMU does not ask that each of its devices is in the stream. This one stays as it was at start, while the guest's driver \
                  may think that it runs.",
        cause: "The destination has a device that the source did not have.",
        qemu: "",
        remedy: "Leave it away if the source does not have it.",
        example: "VM0670 loads: section: not in the stream, expected a device that the source has",
    }
    NOT_MIGRATED {
        meaning: "The device type writes no section, and keeps nobody from migrating: it comes back as after a reset.",
        cause: "virtio-pmem, vhost-user-gpu.",
        qemu: "",
        remedy: "Unplug the device before migrating.",
        example: "VM0671 loads: section: not in the stream, expected its state",
    }
    UNMIGRATABLE {
        meaning: "QEMU refuses to load any stream while it has such a device.",
        cause: "The type is marked as not migratable: virtio-crypto, virtio-snd, vhost-user devices without a state of their own.",
        qemu: "State blocked by non-migratable device '0000:00:08.0/virtio-crypto'",
        remedy: "Start the destination without the device.",
        example: "VM0672 refused: device: any stream, expected one without the device",
    }
}
