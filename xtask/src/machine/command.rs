//! QEMU's command line for a case: the same on both ends, but for where the console goes, for `-incoming`,
//! and for what a destination is to lack.

use std::process::Command;

use crate::cases::{Board, Case, Device};
use crate::guest::Guest;
use crate::qemu::Qemu;

/// Which end of a migration a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End<'a> {
    Source,
    /// A source whose disk takes no write of a block, by its number: it is full there. QEMU stops the guest then.
    Stuck(u64),
    /// Loads a stream, a file in the machine's directory.
    Destination(&'a str),
    /// Stands still as it was started.
    Fresh(Shape),
    /// Waits to be told what to load.
    Waiting(Shape),
    /// The host with this number, from 1, that a live guest comes to; it runs the guest as soon as it has it.
    Hop(usize, Shape),
}

/// The stems of the files of those that a live guest comes to, in turn.
pub(crate) const HOPS: [&str; 4] = ["hop1", "hop2", "hop3", "hop4"];

/// What a destination is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As the source.
    Same,
    /// Its disk does not offer EVENT_IDX, which Linux uses where it is offered.
    LacksEventIdx,
    /// Its disk's queue has 64 entries, which is fewer than Linux takes where they are offered.
    SmallQueue,
    /// It is of another machine type.
    OtherMachine,
}

impl Shape {
    /// The properties of the disk that make it so.
    fn disk(self) -> &'static str {
        match self {
            Self::Same | Self::OtherMachine => "",
            Self::LacksEventIdx => ",event_idx=off",
            Self::SmallQueue => ",queue-size=64",
        }
    }
}

impl End<'_> {
    /// The stem of the end's files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source | Self::Stuck(_) => "source",
            Self::Destination(_) => "destination",
            Self::Fresh(_) => "fresh",
            Self::Waiting(_) => "waiting",
            Self::Hop(number, _) => HOPS.get(number.wrapping_sub(1)).copied().unwrap_or("hop"),
        }
    }

    fn shape(self) -> Shape {
        match self {
            Self::Source | Self::Stuck(_) | Self::Destination(_) => Shape::Same,
            Self::Fresh(shape) | Self::Waiting(shape) | Self::Hop(_, shape) => shape,
        }
    }
}

/// The machine type of a case: a versioned one is that of the source, which later QEMUs know too.
pub(crate) fn machine_type(case: &Case, source: &Qemu) -> String {
    match case.board {
        Board::Q35 => format!("pc-q35-{}", source.series()),
        Board::I440fx => format!("pc-i440fx-{}", source.series()),
        Board::Microvm => "microvm,acpi=on,rtc=on,pit=on,pic=on".to_owned(),
        Board::S390 => format!("s390-ccw-virtio-{}", source.series()),
    }
}

/// A machine type that no case has, and that every QEMU here knows.
const OTHER_MACHINE: &str = "pc-q35-6.2";

/// Adds the arguments of a case to a command that runs QEMU in the case's directory.
pub(crate) fn arguments(command: &mut Command, case: &Case, machine: &str, guest: &Guest, end: End<'_>) {
    let serial = format!("{}.serial", end.name());
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    let machine = if end.shape() == Shape::OtherMachine { OTHER_MACHINE } else { machine };
    command.args(["-accel", "tcg", "-M", machine, "-m", &memory(case.board).0.to_string()]);
    let console = match case.board {
        Board::Q35 | Board::I440fx | Board::Microvm => {
            command.args(["-serial", &format!("file:{serial}")]);
            "ttyS0"
        }
        Board::S390 => {
            command.args([
                "-chardev",
                &format!("file,id=con,path={serial}"),
                "-device",
                "sclpconsole,chardev=con",
            ]);
            "ttysclp0"
        }
    };
    command.arg("-kernel").arg(&guest.kernel).arg("-initrd").arg(&guest.initramfs);
    let devices = case.in_guest().join(",");
    let clock = clock(case.board);
    let append = format!(
        "console={console} quiet loglevel=1 panic=-1 mitigations=off nokaslr iomem=relaxed{clock} vmig.devices={devices}"
    );
    command.args(["-append", &append]);
    command.args(case.arguments);
    for (position, device) in case.devices.iter().enumerate() {
        add_device(command, case, position, *device, end);
    }
    match end {
        End::Source | End::Stuck(_) => command,
        End::Destination(stream) => command.args(["-incoming", &format!("exec:cat {stream}")]),
        End::Fresh(_) => command.arg("-S"),
        End::Waiting(_) | End::Hop(..) => command.args(["-incoming", "defer"]),
    };
}

/// Kernel parameters that keep the guest's clock going on a busy host. microvm has no timer to
/// measure the processor's clock against but the PIT, and Linux hangs at boot if that goes wrong.
fn clock(board: Board) -> &'static str {
    match board {
        Board::Microvm => " tsc_early_khz=2000000 tsc=reliable",
        Board::Q35 | Board::I440fx | Board::S390 => "",
    }
}

/// Memory in MiB, in full and while the balloon is inflated: what the kernel needs to unpack the initramfs, and not much more.
pub(crate) fn memory(board: Board) -> (u64, u64) {
    match board {
        Board::Q35 | Board::I440fx | Board::Microvm => (128, 120),
        Board::S390 => (160, 152),
    }
}

/// A disk that is full at a block of 4096 bytes.
fn full_at(block: u64, image: &str) -> String {
    let rule = format!("iotype=write,sector={},errno=28", block * 8);
    let rule = rule.split(',').map(|option| format!(",file.inject-error.0.{option}")).collect::<String>();
    format!(
        "file.driver=blkdebug,file.image.driver=file,file.image.filename={image},file.inject-error.0.event=none{rule}"
    )
}

/// The address of the network device.
pub(crate) const MAC: &str = "52:54:00:12:34:56";

/// Names of the disk images in a case's directory.
pub(crate) const DISKS: [&str; 2] = ["blk.img", "scsi.img"];

fn add_device(command: &mut Command, case: &Case, position: usize, device: Device, end: End<'_>) {
    let [blk_image, scsi_image] = DISKS;
    let pci = matches!(case.board, Board::Q35 | Board::I440fx);
    let (driver, backend) = match device {
        Device::Net => {
            command.args(["-netdev", "user,id=net-backend,restrict=on"]);
            // Option ROMs are RAM blocks, and their size differs from release to release.
            let rom = if pci { ",romfile=" } else { "" };
            ("net", format!("netdev=net-backend,mac={MAC}{rom}"))
        }
        Device::Blk => {
            let file = match end {
                End::Stuck(block) => full_at(block, blk_image),
                _ => format!("file={blk_image}"),
            };
            command.args(["-drive", &format!("if=none,id=blk-backend,format=raw,{file}")]);
            ("blk", format!("drive=blk-backend{}", end.shape().disk()))
        }
        Device::Rng => {
            command.args(["-object", "rng-random,id=rng-backend,filename=/dev/urandom"]);
            ("rng", "rng=rng-backend".to_owned())
        }
        Device::Scsi => ("scsi", String::new()),
        Device::Console => ("serial", "max_ports=4".to_owned()),
        Device::Balloon => ("balloon", String::new()),
        Device::Input => ("keyboard", String::new()),
    };
    let bus = match case.board {
        Board::Q35 | Board::I440fx => "pci",
        Board::Microvm => "device",
        Board::S390 => "ccw",
    };
    let options = [format!("id={}", device.id()), case.place(position), backend, case.properties.to_owned()];
    let options =
        options.iter().filter(|option| !option.is_empty()).fold(String::new(), |all, one| all + "," + one);
    command.args(["-device", &format!("virtio-{driver}-{bus}{options}")]);
    match device {
        Device::Scsi => {
            command.args(["-drive", &format!("if=none,id=scsi-backend,format=raw,file={scsi_image}")]);
            command.args(["-device", "scsi-hd,bus=scsi0.0,drive=scsi-backend"]);
        }
        Device::Console => {
            command.args(["-chardev", &format!("file,id=port,path={}.port", end.name())]);
            command.args(["-device", "virtserialport,bus=console0.0,nr=1,chardev=port,name=org.vmig.port"]);
        }
        Device::Net | Device::Blk | Device::Rng | Device::Balloon | Device::Input => {}
    }
}
