//! What keeps an image from being opened.

use std::io;

use crate::{Container, Snapshot};

/// What keeps an image from being opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened.
    #[error("cannot open {file}: {error}")]
    Open {
        /// The file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// A store of objects refuses, or does not answer.
    #[error("cannot read {url}: {error}; {help}")]
    Store {
        /// The address of the object, or of the prefix of several.
        url: String,
        /// What the store said.
        error: String,
        /// What to look at.
        help: &'static str,
    },
    /// It is no file that could hold a stream.
    #[error("{file} is a pipe, a socket or a device, no file")]
    NoFile {
        /// What it is called.
        file: String,
    },
    /// The file cannot be read.
    #[error("cannot read {file}: {error}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// The file is not what it begins as, or is not all there.
    #[error("cannot unpack {file} ({container}): {error}; is the file complete?")]
    Unpack {
        /// The file.
        file: String,
        /// What it begins as.
        container: Container,
        /// Why.
        error: io::Error,
    },
    /// There is no room to unpack it.
    #[error("cannot unpack {file} to a temporary file: {error}; set TMPDIR to a folder with more room")]
    Spool {
        /// The file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// Its header or a table cannot be read.
    #[error("cannot read {file} as {kind}: {error}")]
    Malformed {
        /// The file.
        file: String,
        /// What it begins as.
        kind: &'static str,
        /// Why, and where in the file.
        error: vmstate::Error,
    },
    /// libvirt had not written the save image to its end.
    #[error(
        "{file} is a libvirt save image that was not finished: it begins with `LibvirtQemudPart`, which \
         becomes `LibvirtQemudSave` when all is written; wait for the save to end, or save the guest again"
    )]
    Unfinished {
        /// The file.
        file: String,
    },
    /// A snapshot was asked for, and the file has none.
    #[error("{file} is no qcow2 image and has no snapshot `{wanted}`; leave out `#{wanted}`")]
    NoQcow2 {
        /// The file.
        file: String,
        /// The snapshot that was asked for.
        wanted: String,
    },
    /// It is not clear which snapshot is meant, or there is none.
    #[error("{}", choice(file, wanted.as_deref(), snapshots))]
    Snapshot {
        /// The file.
        file: String,
        /// The snapshot that was asked for.
        wanted: Option<String>,
        /// Those there are.
        snapshots: Vec<Snapshot>,
    },
}

/// Says which snapshots there are, and how one is chosen.
fn choice(file: &str, wanted: Option<&str>, snapshots: &[Snapshot]) -> String {
    let usable = || snapshots.iter().filter(|snapshot| snapshot.vm_state_bytes > 0);
    let is_called = |name: &str| snapshots.iter().filter(|it| it.name == name || it.id == name).count();
    let what = match (wanted, usable().count()) {
        (Some(wanted), _) if is_called(wanted) == 1 => {
            format!("snapshot `{wanted}` of {file} has no VM state")
        }
        (Some(wanted), _) if is_called(wanted) > 1 => format!("{file} has several snapshots `{wanted}`"),
        (Some(wanted), _) => format!("{file} has no snapshot `{wanted}`"),
        (None, 0) => format!("{file} is a qcow2 image without a snapshot that has VM state"),
        (None, count) => format!("{file} is a qcow2 image with {count} snapshots that have VM state"),
    };
    let help = match usable().next() {
        Some(example) => format!("name one by its name or id, as {file}#{}", example.id.escape_debug()),
        None => "`savevm` in QEMU's monitor or `virsh snapshot-create` makes one".to_owned(),
    };
    let list: String = snapshots.iter().map(|snapshot| format!("\n  {snapshot}")).collect();
    format!("{what}; {help}{list}")
}
