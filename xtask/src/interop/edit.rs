//! `vmig edit`: a device gets another MAC address in the stream, and the guest sees it.
//!
//! A driver reads the address once, when it finds the device, and the device forgets a changed one when it
//! is reset. So the guest looks at the device's registers itself, in every beat; where the address there is
//! not that of its interface, it says so, and goes on with the new one. Packets to the old one the device
//! would throw away.

use miette::{Result, miette};
use serde_json::json;

use super::{FROM_QEMU, FROM_VMIG, Saved, Vmig};
use crate::cases::{Board, Case, Device};
use crate::machine::Site;
use crate::machine::command::MAC;
use crate::qemu::Qemu;
use crate::qemu::qmp::text;

/// The address that the device gets.
const NEW: &str = "52:54:00:ab:cd:ef";

/// Whether a guest can look at the registers of its network device: they have to be in memory.
pub(super) fn is_seen(case: &Case) -> bool {
    let in_memory = match case.board {
        Board::Q35 | Board::Microvm => true,
        Board::I440fx | Board::S390 => false,
    };
    in_memory && case.devices.contains(&Device::Net)
}

/// The change that gives the network device of a case the new address.
pub(super) fn change(case: &Case) -> String {
    let position = case.devices.iter().position(|device| *device == Device::Net).unwrap_or_default();
    format!("{}/virtio-net.device.mac={NEW}", case.path(position))
}

/// Sees that the guest saw its address change.
pub(super) fn check_seen(site: &Site) -> Result<()> {
    match site.macs()?.as_slice() {
        [first, second] if first == MAC && second == NEW => Ok(()),
        other => Err(miette!("the guest was expected to see {MAC}, then {NEW}, it saw {other:?}")),
    }
}

pub(super) fn run(saved: &Saved<'_>, to: &Qemu, vmig: Vmig<'_>) -> Result<String> {
    let site = saved.site;
    let change = change(site.case);
    vmig.run(&["edit", FROM_QEMU, "-o", FROM_VMIG, &change])?;
    vmig.run(&["verify", FROM_VMIG])?;
    if site.macs()? != [MAC] {
        return Err(miette!("the guest was expected to see {MAC} at first, it saw {:?}", site.macs()?));
    }
    let after = saved.goes_on(to, |machine| {
        let filters = machine.command("query-rx-filter", &json!({}))?;
        let filters = filters.as_array().map(Vec::as_slice).unwrap_or_default();
        match filters.iter().map(|filter| text(filter, "main-mac")).collect::<Vec<_>>().as_slice() {
            [NEW] => Ok(()),
            other => Err(miette!("QEMU was expected to filter for {NEW}, it does for {other:?}")),
        }
    })?;
    check_seen(site)?;
    Ok(format!("the guest saw {MAC} become {NEW}; {}", saved.seen(&after)))
}
