//! A qcow2 disk image, as far as the VM state of its internal snapshots is concerned.
//!
//! `savevm` in QEMU and `virsh snapshot-create` write the stream of a guest into the image of one of its
//! disks: it lies behind the end of the disk, where the guest cannot reach, and belongs to a snapshot. It
//! is read in place, through the snapshot's own tables ([`VmState`]).
//!
//! Layout: `docs/interop/qcow2` of QEMU. All numbers are big-endian.

mod header;
mod snapshot;
mod vm_state;

use vmstate::Result;
use vmstate::source::Source;

use header::Header;
pub use snapshot::Snapshot;
pub(crate) use vm_state::VmState;

/// Whether a file with these first bytes is a qcow2 image.
pub(crate) fn detect(head: &[u8]) -> bool {
    head.starts_with(&header::MAGIC)
}

/// An image.
pub(crate) struct Disk {
    file: Box<dyn Source>,
    header: Header,
    snapshots: Vec<Snapshot>,
}

impl Disk {
    /// Reads the header and the list of snapshots.
    pub(crate) fn open(file: Box<dyn Source>) -> Result<Self> {
        let header = Header::read(&file)?;
        let snapshots = snapshot::table(&file, &header)?;
        Ok(Self { file, header, snapshots })
    }

    /// All snapshots, with VM state or without.
    pub(crate) fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// The one snapshot that is meant: the one with this name, else with this id; if none is asked for, the
    /// only one with VM state.
    pub(crate) fn choose(&self, wanted: Option<&str>) -> Option<&Snapshot> {
        let only = |is_meant: &dyn Fn(&Snapshot) -> bool| {
            let mut meant = self.snapshots.iter().filter(|snapshot| is_meant(snapshot));
            meant.next().filter(|_| meant.next().is_none())
        };
        match wanted {
            None => only(&|snapshot| snapshot.vm_state_bytes > 0),
            Some(wanted) => {
                let by_name = only(&|snapshot| snapshot.name == wanted);
                by_name.or_else(|| only(&|snapshot| snapshot.id == wanted))
            }
        }
    }

    /// The VM state of a snapshot.
    pub(crate) fn vm_state(self, snapshot: &Snapshot) -> Result<VmState> {
        VmState::open(self.file, &self.header, snapshot)
    }
}
