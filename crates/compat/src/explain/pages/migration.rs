//! `VM07xx`: live migration.

use vmstate::Code;

use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        code: Code(700),
        title: "A channel could not be opened, or failed.",
        meaning: "The connection to the source or the destination could not be made, was cut, stalled, or was called off. The \
                  source has the guest.",
        cause: "A peer that is not there or was ended, a firewall, a certificate, a peer that is silent for longer than `--timeout`.",
        qemu: "Failed to connect to '127.0.0.1:4444': Connection refused",
        remedy: "The message names the channel and what happened; the log of the QEMU on that side often says why.",
        example: "error[VM0700]: to the destination, in state `setup`: connecting to tcp:127.0.0.1:4444: Connection refused",
    },
    Page {
        code: Code(701),
        title: "The peer closed the channel in the middle of the stream.",
        meaning: "The stream ended before the guest was complete, so nothing of it goes on.",
        cause: "The migration was cancelled at the source, or its QEMU or host ended.",
        qemu: "load of migration failed: Input/output error",
        remedy: "Look at `info migrate` and the log of the source. If it still runs the guest, migrate again.",
        example: "error[VM0701]: from the source, in state `active`: the peer closed the channel 81920 bytes into the stream, before \
                  the end of a section of RAM",
    },
    Page {
        code: Code(702),
        title: "The source did not open a return path.",
        meaning: "Without one the source gives its guest up as soon as it has sent it, whether it arrived or not. vmig takes no guest so.",
        cause: "The capability return-path is off, which is its default.",
        qemu: "",
        remedy: "At the source: `migrate_set_capability return-path on`. `vmig receive --unacknowledged` takes the guest all the same.",
        example: "error[VM0702]: from the source, in state `setup`: the source did not open a return path, …",
    },
    Page {
        code: Code(703),
        title: "The source uses a capability that is not supported.",
        meaning: "The stream would have to be read in another way, so it is refused before any state is taken.",
        cause: "A capability such as postcopy-ram, x-ignore-shared, mapped-ram, dirty-bitmaps or x-colo is on at the source.",
        qemu: "Received unknown capability mapped-ram",
        remedy: "Set the capability off at the source and migrate again.",
        example: "error[VM0703]: from the source, in state `setup`: the source has the capability postcopy-ram on, which lets the guest \
                  run in two places until all its RAM is there; set it off at the source",
    },
    Page {
        code: Code(704),
        title: "Something is wrong with multifd channels.",
        meaning: "Pages go over channels of their own, beside the main one, and those are not there or not as they should be.",
        cause: "The capability multifd is on at one end only; the ends have another number of channels or another compression; a channel was damaged or closed. How many channels there are is not in the stream.",
        qemu: "",
        remedy: "Give vmig as many channels as the source has (`--multifd N`, there `migrate_set_parameter multifd-channels N`), or set the capability off at the source: `migrate_set_capability multifd off`.",
        example: "error[VM0704]: from the source, in state `setup`: the source sends pages over channels of their own (multifd): say with --multifd how many …",
    },
    Page {
        code: Code(705),
        title: "More would have to be held in memory than is allowed.",
        meaning: "`vmig relay --mode stream` holds device state until it is checked, and no more than a fixed amount of it.",
        cause: "A device with very much state, such as a GPU with many resources.",
        qemu: "",
        remedy: "Use `--mode hold`, which takes any.",
        example: "error[VM0705]: from the source, in state `device`: device state of more than 25165824 bytes; --mode hold takes any",
    },
    Page {
        code: Code(706),
        title: "The destination did not acknowledge the guest.",
        meaning: "It said that it failed, or went away without a word. The source goes on running the guest.",
        cause: "The destination could not load the stream: another machine type, missing devices, other features.",
        qemu: "load of migration failed: Invalid argument",
        remedy: "The destination's own log says why. `vmig check FILE --onto DEST` says so beforehand, and `vmig relay --onto DEST` refuses \
                 such a guest before it is sent.",
        example: "error[VM0706]: to the destination, in state `device`: the destination closed the channel before it acknowledged the \
                  guest; its own log says why",
    },
    Page {
        code: Code(707),
        title: "The return path says something that it should not.",
        meaning: "An answer of the destination is none that there is, or makes no sense where it came.",
        cause: "Damage on the way, or a destination that is no QEMU.",
        qemu: "RP: Received invalid message 0x0008 length 0x0000",
        remedy: "Migrate again; if it stays, report it.",
        example: "error[VM0707]: to the destination, in state `device`: on the return path: a message of type 8, expected 1 to 7",
    },
    Page {
        code: Code(708),
        title: "What arrived could not be kept.",
        meaning: "The file or the memory that the guest was to go into took no more. The source has the guest; no file is left.",
        cause: "A full disk, missing permission, too little memory for `--mode hold`.",
        qemu: "",
        remedy: "Make room and migrate again; `--mode stream` needs little memory.",
        example: "error[VM0708]: from the source, in state `active`: cannot keep what arrived: No space left on device (os error 28)",
    },
    Page {
        code: Code(709),
        title: "The guest was refused.",
        meaning: "A device of it would not load, a change that was asked for cannot be made, or the destination given with `--onto` would \
                  refuse it. The source goes on running it.",
        cause: "See the reason, which has a code of its own.",
        qemu: "",
        remedy: "Mend the cause; known defects are mended on the way with `--repair`.",
        example: "error[VM0709]: from the source, in state `device`: refused: VM0440 0000:00:0a.0/virtio-balloon: …",
    },
    Page {
        code: Code(710),
        title: "Post-copy was broken off after the guest had been handed over.",
        meaning: "By post-copy the guest runs at the destination while a part of its RAM is still at the source. When either side or \
                  the channel fails then, neither has all of it, so that it goes on at neither.",
        cause: "A host or a process that ended, or a channel that broke, between the states `postcopy-device` and `completed`.",
        qemu: "",
        remedy: "Start the guest anew from its disks. If it must survive the loss of either side, move it by pre-copy.",
        example: "error[VM0710]: to the destination, in state `postcopy-active`: the destination closed the channel before it \
                  acknowledged the guest; its own log says why; the guest had been handed over by post-copy, and a part of its RAM \
                  had not: it goes on at neither side",
    },
];
