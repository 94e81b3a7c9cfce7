//! The machines that interop carries and record records: one table, [`CASES`].
//!
//! To add a case, add a line to the table. A device's position in the list fixes its address on the
//! bus, its identifier in QMP and its path in the stream, so that these never have to be guessed.

use miette::{Result, miette};

use crate::debian::suite::Arch;
use crate::debian::suite::Suite::{self, Bookworm, Sid, Trixie};

/// A machine that is carried from one QEMU to another (or to another run of the same one).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) board: Board,
    pub(crate) from: Suite,
    pub(crate) to: Suite,
    pub(crate) devices: &'static [Device],
    /// Properties that every virtio device is given, as on QEMU's command line.
    pub(crate) properties: &'static str,
    /// Arguments of QEMU that this case adds.
    pub(crate) arguments: &'static [&'static str],
}

/// A machine type, and with it the transport of its virtio devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Board {
    Q35,
    I440fx,
    Microvm,
    S390,
}

/// A virtio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Net,
    Blk,
    Scsi,
    Console,
    Rng,
    Balloon,
    Input,
}

use Board::{I440fx, Microvm, Q35, S390};
use Device::{Balloon, Blk, Console, Input, Net, Rng, Scsi};

const ALL: &[Device] = &[Net, Blk, Scsi, Console, Rng, Balloon, Input];
const NO_INPUT: &[Device] = &[Net, Blk, Scsi, Console, Rng, Balloon];
const NO_CONSOLE: &[Device] = &[Net, Blk, Scsi, Rng];
const SMALL: &[Device] = &[Net, Blk, Rng];
const LEGACY_PCI: &str = "disable-modern=on,disable-legacy=off";
const LEGACY_CCW: &str = "max_revision=0";
const MODERN_MMIO: &[&str] = &["-global", "virtio-mmio.force-legacy=false"];
const LEGACY_MMIO: &[&str] = &["-global", "virtio-mmio.force-legacy=true"];

/// Every case.
///
/// There is none from 10.0 to 11.1: Debian's 10.0.13 gives every queue a default of 1,024 entries,
/// and 11.1.3 refuses that for a device whose queues are smaller, whoever wrote the stream.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    case("x86-q35-q7.2",                Q35,     Bookworm, Bookworm, ALL),
    case("x86-q35-q10",                 Q35,     Trixie,   Trixie,   ALL),
    case("x86-q35-q11",                 Q35,     Sid,      Sid,      ALL),
    case("x86-q35-q7.2-to-q10",         Q35,     Bookworm, Trixie,   ALL),
    case("x86-q35-q7.2-to-q11",         Q35,     Bookworm, Sid,      ALL),
    case("x86-q35-packed-q10",          Q35,     Trixie,   Trixie,   NO_CONSOLE).with("packed=on"),
    case("x86-q35-packed-q11",          Q35,     Sid,      Sid,      NO_CONSOLE).with("packed=on"),
    case("x86-q35-packed-q7.2-to-q10",  Q35,     Bookworm, Trixie,   NO_CONSOLE).with("packed=on"),
    case("x86-q35-intx-q10",            Q35,     Trixie,   Trixie,   SMALL).with("vectors=0"),
    case("x86-q35-packed-intx-q10",     Q35,     Trixie,   Trixie,   SMALL).with("packed=on,vectors=0"),
    case("x86-i440fx-legacy-q10",       I440fx,  Trixie,   Trixie,   NO_INPUT).with(LEGACY_PCI),
    case("x86-microvm-mmio-modern-q10", Microvm, Trixie,   Trixie,   SMALL).arguments(MODERN_MMIO),
    case("x86-microvm-mmio-modern-q11", Microvm, Sid,      Sid,      SMALL).arguments(MODERN_MMIO),
    case("x86-microvm-mmio-legacy-q10", Microvm, Trixie,   Trixie,   SMALL).arguments(LEGACY_MMIO),
    case("s390x-ccw-q7.2",              S390,    Bookworm, Bookworm, NO_INPUT),
    case("s390x-ccw-q10",               S390,    Trixie,   Trixie,   NO_INPUT),
    case("s390x-ccw-q11",               S390,    Sid,      Sid,      NO_INPUT),
    case("s390x-ccw-q7.2-to-q10",       S390,    Bookworm, Trixie,   NO_INPUT),
    case("s390x-ccw-legacy-q10",        S390,    Trixie,   Trixie,   NO_INPUT).with(LEGACY_CCW),
];

const fn case(name: &'static str, board: Board, from: Suite, to: Suite, devices: &'static [Device]) -> Case {
    Case { name, board, from, to, devices, properties: "", arguments: &[] }
}

/// The cases that a user asked for: all of them, or those named (a trailing `*` stands for any ending).
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(CASES.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let before = chosen.len();
        chosen.extend(CASES.iter().filter(|case| match name.strip_suffix('*') {
            Some(start) => case.name.starts_with(start),
            None => case.name == name,
        }));
        if chosen.len() == before {
            let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
            return Err(miette!("no case is named `{name}`; expected one of\n  {}", known.join("\n  ")));
        }
    }
    Ok(chosen)
}

impl Case {
    const fn with(self, properties: &'static str) -> Self {
        Self { properties, ..self }
    }

    const fn arguments(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }

    /// The architecture of the guest.
    pub(crate) fn arch(&self) -> Arch {
        match self.board {
            Q35 | I440fx | Microvm => Arch::X86_64,
            S390 => Arch::S390x,
        }
    }

    /// The devices that the guest has to work in every beat, by the names it has for them.
    pub(crate) fn in_guest(&self) -> Vec<&'static str> {
        self.devices.iter().filter_map(|device| device.in_guest()).collect()
    }

    /// The path that QEMU gives the device at a position, which starts the name of its section.
    pub(crate) fn path(&self, position: usize) -> String {
        match self.board {
            Q35 | I440fx => format!("0000:00:{}", pci_address(position)),
            Microvm => format!("virtio-mmio@{:016x}", MMIO_BASE + MMIO_STEP * mmio_bus(position)),
            S390 => format!("/{}", ccw_number(position)),
        }
    }

    /// The `-device` property that puts the device at a position to its place.
    pub(crate) fn place(&self, position: usize) -> String {
        match self.board {
            Q35 | I440fx => format!("addr={}", pci_address(position)),
            Microvm => format!("bus=virtio-mmio-bus.{}", mmio_bus(position)),
            S390 => format!("devno={}", ccw_number(position)),
        }
    }
}

impl Device {
    /// The identifier the device gets: its kind, so there is one of each kind in a case.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Net => "net0",
            Blk => "blk0",
            Scsi => "scsi0",
            Console => "console0",
            Rng => "rng0",
            Balloon => "balloon0",
            Input => "input0",
        }
    }

    /// The name by which the guest knows the device that it works in every beat, if it does.
    pub(crate) fn in_guest(self) -> Option<&'static str> {
        match self {
            Net => Some("eth0"),
            Blk => Some("vda"),
            Scsi => Some("sda"),
            Console => Some("port"),
            Rng => Some("rng"),
            Balloon | Input => None,
        }
    }
}

/// microvm's virtio-mmio registers: where those of bus 0 are, and how far apart.
const MMIO_BASE: usize = 0xfeb0_0000;
const MMIO_STEP: usize = 0x200;

/// microvm has 24 buses; Linux takes them in falling order, so the first device gets the last.
fn mmio_bus(position: usize) -> usize {
    23_usize.saturating_sub(position)
}

/// Slots below 3 belong to boards.
fn pci_address(position: usize) -> String {
    format!("{:02x}.0", position + 3)
}

fn ccw_number(position: usize) -> String {
    format!("fe.0.{:04x}", position + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_tell_the_versions() {
        for case in CASES {
            assert_eq!(CASES.iter().filter(|other| other.name == case.name).count(), 1, "{}", case.name);
            assert!(case.name.contains(&format!("q{}", case.from.series())), "{}", case.name);
            assert!(case.name.ends_with(&format!("q{}", case.to.series())), "{}", case.name);
        }
    }

    #[test]
    fn paths_are_those_of_recorded_streams() {
        let microvm = case("", Microvm, Trixie, Trixie, SMALL);
        assert_eq!(microvm.path(0), "virtio-mmio@00000000feb02e00");
        assert_eq!(case("", Q35, Trixie, Trixie, ALL).path(0), "0000:00:03.0");
        assert_eq!(case("", S390, Trixie, Trixie, ALL).path(5), "/fe.0.0006");
    }

    #[test]
    fn cases_are_chosen_by_name_and_by_start() {
        assert_eq!(chosen(&[]).unwrap().len(), CASES.len());
        assert!(chosen(&["s390x-*".to_owned()]).unwrap().iter().all(|case| case.board == S390));
        assert!(chosen(&["nonsense".to_owned()]).is_err());
    }
}
