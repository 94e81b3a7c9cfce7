//! Pages that QEMU itself looks at when it loads: without them it refuses the stream.

use serde_json::Value;
use virtio::guest::{Guest, Page};
use virtio::memory::Layout;
use vmstate::stream::Stream;

use crate::state::State;

/// The section of the option ROM by which QEMU speeds up a guest's task priority register. It has the address
/// of the ROM in the guest's RAM, and takes the ROM's size from there: where that is 0, 10.0.13 refuses the
/// section. The ROM is QEMU's own.
const OPTION_ROM: (&str, &str) = ("kvm-tpr-opt", "/rom_state_paddr");
/// An option ROM begins at a multiple of this.
const ALIGNMENT: u64 = 2048;
/// What is looked at: its signature, two bytes, and its size.
const HEAD: usize = 3;

/// Where the head of an option ROM is.
#[derive(Debug, Clone, Copy)]
pub(super) struct OptionRom {
    /// The page.
    pub(super) page: Page,
    /// Bytes from the start of the page.
    offset: usize,
}

impl OptionRom {
    /// That of a machine, if it has one.
    pub(super) fn of(stream: &Stream, guest: &Guest, state: &State) -> Option<Self> {
        let (section, field) = OPTION_ROM;
        let address = state.section(section, 0)?.state.pointer(field).and_then(Value::as_u64)?;
        let start = Some(address - address % ALIGNMENT).filter(|&start| start > 0)?;
        let ram = stream.ram.as_ref()?;
        let region = Layout::for_ram(guest.machine.as_deref()?, ram).ok()?.at(start)?;
        let offset = start.checked_sub(region.gpa)?.checked_add(region.offset)?;
        let page = Page { block: region.block, index: offset / ram.page_size };
        Some(Self { page, offset: usize::try_from(offset % ram.page_size).ok()? })
    }

    /// Blanks all else in its page.
    pub(super) fn blank_rest(&self, page: &mut [u8]) {
        let head = self.offset..self.offset + HEAD;
        for (at, byte) in page.iter_mut().enumerate() {
            if !head.contains(&at) {
                *byte = 0;
            }
        }
    }
}
