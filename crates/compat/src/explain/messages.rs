//! What QEMU prints when it does not load or migrate: one table, the most telling messages first.
//!
//! Each has a pattern with a name for each value, the code of its page, and what the values mean. A line may
//! match several. The texts are those of QEMU 5.2 to 11.1.

use virtio::device::DeviceType;

use super::values::{Values, config, features, nothing};

/// A message of QEMU's.
#[derive(Debug)]
pub(super) struct Message {
    /// What it looks like.
    pub(super) pattern: &'static str,
    /// The page it belongs to; `None`: what is here is all there is to say.
    pub(super) code: Option<u16>,
    /// What it says, with `{value}` or `{value|form}` for each value.
    pub(super) says: &'static str,
    /// What to do; empty: what the page says.
    pub(super) remedy: &'static str,
    /// Values that follow from those that were printed.
    pub(super) derive: fn(&mut Values, Option<&'static DeviceType>),
}

const fn of(code: u16, pattern: &'static str, says: &'static str) -> Message {
    Message { pattern, code: Some(code), says, remedy: "", derive: nothing }
}

const fn alone(pattern: &'static str, says: &'static str, remedy: &'static str) -> Message {
    Message { pattern, code: None, says, remedy, derive: nothing }
}

pub(super) const MESSAGES: &[Message] = &[
    // A device's state.
    Message {
        derive: features,
        ..of(
            308,
            r"Features (?<guest>0x[0-9a-f]+) unsupported\. Allowed features: (?<host>0x[0-9a-f]+)",
            "the guest uses {guest}, the destination offers {host}; it lacks {missing}: {names}",
        )
    },
    of(
        650,
        r"VQ (?<queue>\d+) vring\.num (?<num>\d+) exceeds allocated max (?<max>\d+)",
        "queue {queue} has {num} entries; the destination allocated {max}",
    ),
    of(
        303,
        r"VQ (?<queue>\d+) size (?<size>0x[0-9a-f]+) Guest index (?<guest>0x[0-9a-f]+) inconsistent with Host index (?<host>0x[0-9a-f]+): delta (?<delta>0x[0-9a-f]+)",
        "queue {queue} has {size|dec} entries; the guest has offered up to index {guest|dec}, the device has taken up to {host|dec}: \
         {delta|dec} ahead. The load goes on, with a broken device",
    ),
    of(
        304,
        r"VQ (?<queue>\d+) size (?<size>0x[0-9a-f]+) < last_avail_idx (?<taken>0x[0-9a-f]+) - used_idx (?<used>0x[0-9a-f]+)",
        "queue {queue} has {size|dec} entries; the device has taken up to index {taken|dec} and returned up to {used|dec}: more in \
         flight than there are entries",
    ),
    of(
        302,
        r"VQ (?<queue>\d+) address 0x0 inconsistent with Host index (?<host>0x[0-9a-f]+)",
        "queue {queue} is not set up, yet the device has taken up to index {host|dec}",
    ),
    of(
        103,
        r"Invalid number of virtqueues: (?<count>0x[0-9a-f]+)",
        "the stream has {count|dec} queues; a device has at most 1024",
    ),
    Message {
        derive: config,
        ..of(
            630,
            r"Bad config data: i=0x(?<offset>[0-9a-f]+) read: (?<read>[0-9a-f]+) device: (?<local>[0-9a-f]+) cmask: (?<cmask>[0-9a-f]+) wmask: (?<wmask>[0-9a-f]+) w1cmask: ?(?<w1cmask>[0-9a-f]+)",
            "byte 0x{offset} of the PCI configuration space ({register}) is 0x{read} in the stream and 0x{local} at the destination, where the \
             guest cannot write: {cause}",
        )
    },
    of(
        311,
        r"irq state (?<level>-?\d+): must be 0 or 1",
        "an interrupt pin has level {level}, which is neither 0 nor 1",
    ),
    of(
        420,
        r"Invalid virtqueue index in request list: (?<queue>0x[0-9a-f]+)",
        "a block request in flight is of queue {queue|dec}, which the destination's device does not have",
    ),
    of(
        411,
        r"virtio-net: curr_queue_pairs (?<curr>[0-9a-f]+) > max_queue_pairs (?<max>[0-9a-f]+)",
        "the guest uses 0x{curr} queue pairs; the device has 0x{max}",
    ),
    of(
        412,
        r"saved image has invalid RSS indirections_len: (?<length>\d+)",
        "the RSS table has {length} entries, which is no power of 2 up to 128",
    ),
    of(
        661,
        r"virtio-net: saved image requires vnet_hdr=on",
        "the source's network back-end passes virtio-net headers, the destination's does not",
    ),
    of(
        661,
        r"virtio-net: saved image requires TUN_F_UFO support",
        "the source's network back-end takes UDP fragmentation offload, the destination's does not",
    ),
    of(
        661,
        r"Property '(?<property>[^']+)' changed from (?<found>\S+) to (?<local>\S+)",
        "the memory device's {property} is {found} in the stream and {local} at the destination",
    ),
    of(
        661,
        r"max_queue_pairs$",
        "the network device has another number of queue pairs at the destination: the back-end's queues=",
    ),
    of(
        661,
        r"Devno mismatch, tried to load wrong section",
        "the ccw device has another device number at the destination",
    ),
    of(503, r"invalid SCSI request migration data", "a SCSI request in flight could not be read; QEMU exits"),
    of(
        663,
        r"virtio: unexpected memory split|virtio: error trying to map MMIO memory",
        "a buffer of a request in flight is at an address where the destination has no memory. Where the device offers RING_PACKED, \
         QEMU has misread the request",
    ),
    of(305, r"Cannot map (desc|used|avail)", "a ring is at an address where the destination has no memory"),
    of(
        421,
        r"virtio-blk request (outhdr|inhdr) too short",
        "a block request has no room for its header or its status",
    ),
    // RAM.
    of(
        611,
        r"Size mismatch: (?<block>\S+): (?<found>0x[0-9a-f]+) != (?<local>0x[0-9a-f]+)",
        "the RAM block {block} has {found|bytes} in the stream and {local|bytes} at the destination",
    ),
    of(
        611,
        r"Size too large: (?<block>\S+): (?<found>0x[0-9a-f]+) > (?<local>0x[0-9a-f]+)",
        "the RAM block {block} has {found|bytes} in the stream; at the destination it can have {local|bytes} at most",
    ),
    of(
        610,
        "Unknown ramblock \"(?<block>[^\"]+)\", cannot accept migration",
        "the destination has no RAM block {block}",
    ),
    of(610, r"Can't find block (?<block>\S+)", "the destination has no RAM block {block}"),
    alone(
        r"block (?<block>\S+) should not be migrated",
        "the RAM block {block} is in the stream, and is not to be migrated at the destination: shared memory under x-ignore-shared, or an unmigratable one",
        "Set up the memory object as at the source.",
    ),
    alone(
        r"Mismatched RAM page size (?<block>\S+) \(local\) (?<local>\d+) != (?<found>-?\d+)",
        "the RAM block {block} has pages of {found|bytes} at the source and of {local|bytes} here",
        "Back RAM with pages of the same size (hugetlbfs) on both sides: post-copy needs it.",
    ),
    alone(
        r"Mismatched GPAs for block (?<block>\S+)",
        "the RAM block {block} is at another guest-physical address at the destination",
        "Set up memory devices at the addresses they have at the source.",
    ),
    alone(
        r"Illegal RAM offset (?<offset>[0-9a-f]+)|Unknown combination of migration flags: (?<flags>0x[0-9a-f]+)|Ack, bad migration stream|Unexpected RAM flags|Found a zero page with value|Failed to load XBZRLE page",
        "the RAM part of the stream is not understood: it is damaged, or sent in a way that the destination was not told of",
        "Set the same migration capabilities on both sides (multifd, mapped-ram, xbzrle), or save the guest again.",
    ),
    // Sections.
    of(
        620,
        r"Unknown savevm section or instance '(?<section>[^']*)' (?<instance>\d+)",
        "the destination has no device that loads {section} (instance {instance}): the {section|title}{section|path} is missing, or elsewhere",
    ),
    of(
        440,
        r"Missing section footer for (?<section>\S*virtio-balloon)$",
        "{section} is longer than its reader takes. Of a balloon saved by QEMU 5.2 the reason is its misspelt subsection",
    ),
    of(
        628,
        r"Missing section footer for (?<section>\S*(?:ICH9LPC|piix4_pm))$",
        "{section} has more or fewer bytes than the destination takes. Of this one the reason is mostly another number of CPUs that can be",
    ),
    of(
        108,
        r"Missing section footer for (?<section>.+)$",
        "{section} has more or fewer bytes than the destination takes: the two sides have it in another layout",
    ),
    of(
        108,
        r"Mismatched section id in footer for (?<section>.+) - read (?<read>0x[0-9a-f]+) expected (?<expected>0x[0-9a-f]+)",
        "the footer of {section} is that of another section: the stream is damaged",
    ),
    of(
        621,
        r"savevm: unsupported version (?<found>\d+) for '(?<section>[^']*)' v(?<local>\d+)",
        "{section} has version {found} in the stream; the destination reads up to {local}",
    ),
    of(
        621,
        r"(?<section>\S+): incoming version_id (?<found>\d+) is too new for local version_id (?<local>\d+)",
        "`{section}` has version {found} in the stream; the destination reads up to {local}",
    ),
    of(
        101,
        r"(?<section>\S+): incoming version_id (?<found>\d+) is too old for local minimum version_id\s+(?<local>\d+)",
        "`{section}` has version {found} in the stream; the destination reads from {local} on",
    ),
    of(
        103,
        r"Invalid value (?<found>-?\d+) expecting positive value <= (?<local>-?\d+)",
        "a number is {found}, and at most {local} at the destination: a version or a count",
    ),
    alone(
        r"Input validation failed: (?<field>\S+)",
        "the check {field} of a device's state failed: its values do not go together",
        "Save the guest again; if that does not help, the device's state at the source is wrong.",
    ),
    of(
        102,
        r"Unknown savevm section type (?<marker>\d+)",
        "{marker} is no kind of section: the part before it has another length than its reader takes, or the stream is damaged",
    ),
    of(
        102,
        r"Unknown savevm section (?<id>\d+)",
        "the stream goes on with section {id}, which did not begin",
    ),
    of(
        102,
        r"MIG_CMD (?<command>0x[0-9a-f]+) unknown|received with bad length",
        "the stream has a command that the destination does not know",
    ),
    of(
        627,
        r"^(\S*qemu\S*: )?(?<local>[0-9a-f]+) != (?<found>[0-9a-f]+)$",
        "a value that both sides must have is 0x{found} in the stream and 0x{local} at the destination; the next line says which field",
    ),
    // The head.
    of(
        600,
        r"Machine type received is '(?<found>[^']*)' and local is '(?<local>[^']*)'",
        "the stream is of a {found}, the destination is a {local}",
    ),
    of(
        601,
        r"Received TARGET_PAGE_BITS is (?<found>\d+) but local is (?<local>\d+)",
        "a page of the target has 2 to the power of {found} bytes at the source, and of {local} at the destination",
    ),
    of(
        602,
        r"Capability (?<name>\S+) is (?<local>on|off), but received capability is (?<found>on|off)",
        "the migration capability {name} is {found} at the source and {local} at the destination",
    ),
    of(
        602,
        r"Received unknown capability (?<name>\S+)",
        "the source uses the migration capability {name}, which the destination does not know",
    ),
    of(
        603,
        r"UUID received is (?<found>\S+) and local is (?<local>\S+)",
        "the machine's UUID is {found} in the stream and {local} at the destination",
    ),
    of(10, r"Not a migration stream", "what came in does not begin as a migration stream does"),
    of(
        11,
        r"SaveVM v2 format is obsolete|Unsupported migration stream version",
        "the stream has another file version than 3",
    ),
    alone(
        r"Configuration section missing",
        "the source sends no configuration section (very old machine types), the destination expects one",
        "Start the destination with `-global migration.send-configuration=off`, or the source's machine type.",
    ),
    // What keeps a machine from migrating.
    of(
        672,
        r"State blocked by non-migratable device '(?<section>[^']*)'",
        "the {section|title} {section} cannot be migrated, and keeps the whole machine from it; source and destination both look",
    ),
    of(
        460,
        r"(?<kind>virgl|rutabaga) is not yet migratable",
        "the GPU has 3D ({kind}), whose state QEMU does not carry",
    ),
    alone(
        r"Migration is disabled when VirtFS export path '(?<path>[^']*)' is mounted in the guest using mount_tag '(?<tag>[^']*)'",
        "the guest has the 9p export {path} mounted, by the tag {tag}; open files cannot be carried",
        "Unmount it in the guest before migrating, and mount it again after.",
    ),
    alone(
        r"vhost-scsi does not support migration",
        "a vhost-scsi device migrates only if its storage is the same on both hosts, which nobody can check",
        "Set `migratable=on` on the device if that is so.",
    ),
    alone(
        r"Migration disabled: vhost lacks VHOST_F_LOG_ALL|Migration disabled: failed to allocate shared memory",
        "a vhost back-end cannot log what it writes to guest memory, so that pages would be lost",
        "Use another back-end, or unplug the device before migrating.",
    ),
    alone(
        "Back-end of (?<kind>\\S+) device (?<device>\\S+) \\(tag: \"(?<tag>[^\"]*)\"\\) does not support migration",
        "the back-end of {device} (tag {tag}) does not carry its state",
        "Use a virtiofsd that supports migration, or unmount and unplug the device before migrating.",
    ),
    // Chains: which device and field it was, and that the load failed.
    alone(
        r"Failed to load PCIDevice:config",
        "it was the PCI configuration space that did not fit",
        "The line before it says which byte; give the destination's device the options of the source.",
    ),
    alone(
        r"Failed to load (?<vmsd>[^:\s]+):virtio\b",
        "it was the virtio state of a `{vmsd}` device that was refused",
        "The line before it says why. Without one, it was a value that QEMU refuses silently: look with `vmig inspect` and `vmig check`.",
    ),
    alone(
        r"Failed to load (?<vmsd>[^:\s]+):(?<field>\S+)",
        "it was the field `{field}` of `{vmsd}` that was refused",
        "The line before it says why. Without one, `vmig check STREAM --onto DESTINATION` compares the two sides.",
    ),
    alone(
        r"Failed to load vmstate version_id: (?<version>\d+), ret: -?\d+",
        "a section of version {version} was refused",
        "The line before it says why.",
    ),
    alone(
        r"Failed to load element of type (?<type>\S+) for (?<field>[^:\s]+)",
        "it was the field `{field}` that was refused",
        "The line before it says why. Without one, it was a value that QEMU refuses silently: look with `vmig inspect` and `vmig check`.",
    ),
    alone(
        r"error while loading state for instance (?<instance>0x[0-9a-f]+) of device '(?<section>[^']*)'",
        "it happened in {section}",
        "The lines before it say why. Without one, it was a subsection that the destination does not know, or a value that QEMU refuses \
         silently: `vmig inspect FILE --device PATH` and `vmig check` tell them apart.",
    ),
    alone(
        r"error while loading state section id (?<id>\d+)\((?<section>[^)]*)\)",
        "it happened in {section}, while it was being sent",
        "The lines before it say why.",
    ),
    alone(
        r"load of migration failed: (?<errno>[A-Z][^:]*)",
        "the load failed: {errno|errno}",
        "The lines before it say why. The source still has the guest.",
    ),
];
