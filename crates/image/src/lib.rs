//! Where a migration stream lives: a file, a pipe, compressed or not, a save image of libvirt, a snapshot in
//! a qcow2 image.
//!
//! [`open`] gives a [`Source`]: bytes at offsets. A regular file is read in place, and so is the stream in a
//! save image or a snapshot. A pipe, and whatever is compressed, is first unpacked to a temporary file
//! without a name, since a stream cannot be read in one go: the state of the devices comes after RAM and
//! says which few pages of RAM are wanted. Set `TMPDIR` to choose where; runs of zeros take no space there.
//!
//! What a file is, its first bytes tell, not its name. `s3://bucket/path` and the like are objects in a store, of
//! which only what is looked at is fetched (feature `object-store`).
#![forbid(unsafe_code)]

mod container;
mod error;
mod libvirt;
mod list;
mod lz4;
mod lzop;
mod packing;
mod qcow2;
mod spool;
mod store;
mod window;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use vmstate::source::{FileSource, Source};

pub use container::{Container, Layer};
pub use error::Error;
pub use libvirt::{Format, Save};
pub use list::{Entry, list};
pub use packing::Packing;
pub use qcow2::Snapshot;
use window::{Sequence, Window};

/// Bytes that tell what a file is.
const HEAD: usize = 16;

/// An opened image: what it was found in, and its bytes.
#[expect(missing_debug_implementations, reason = "a source says nothing of itself")]
pub struct Image {
    /// What the stream was found in.
    pub container: Container,
    /// The stream.
    pub source: Box<dyn Source>,
}

/// Opens a file, standard input for `-`, or an object in a store for `s3://`, `gs://`, `az://` and `https://`.
///
/// `FILE#SNAPSHOT` is a snapshot in a qcow2 image, by its name or id, unless there is a file with that very
/// name. Without `#SNAPSHOT` it is the only snapshot that has VM state.
///
/// `progress` is told how many bytes have been unpacked, if that is necessary.
///
/// # Errors
/// If the file cannot be read or unpacked, or if it is not clear which snapshot is meant.
pub fn open(path: &str, progress: &mut dyn FnMut(u64)) -> Result<Image, Error> {
    let (path, wanted) = split(path);
    let (container, source) = open_file(path, progress)?;
    look_inside(container, source, &name(path), wanted, progress)
}

/// The file and the snapshot that a path means.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once('#') {
        Some((file, snapshot)) if !Path::new(path).exists() => (file, Some(snapshot)),
        _ => (path, None),
    }
}

/// A file as it is, or as it is without its compression.
fn open_file(path: &str, progress: &mut dyn FnMut(u64)) -> Result<(Container, Box<dyn Source>), Error> {
    let failed = |error| Error::Read { file: name(path), error };
    if store::is_url(path) {
        let source = store::open(path)?;
        let head = head(&mut Sequence::new(&source)).map_err(failed)?;
        return match Packing::detect(&head) {
            Some(_) => read_once(Sequence::new(&source), path, progress),
            None => Ok((Container::default(), source)),
        };
    }
    let file = match path {
        "-" => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        _ => File::open(path),
    };
    let mut file = file.map_err(|error| Error::Open { file: name(path), error })?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(Error::Open { file: name(path), error: io::ErrorKind::IsADirectory.into() });
    }
    // Standard input can be a file too, and somebody may have read its beginning.
    let is_whole = file.stream_position().is_ok_and(|position| position == 0);
    if !is_whole || !(kind.is_file() || kind.is_block_device()) {
        return read_once(file, path, progress);
    }
    let head = head(&mut file).map_err(failed)?;
    file.rewind().map_err(failed)?;
    match Packing::detect(&head) {
        Some(_) => read_once(file, path, progress),
        None => Ok((Container::default(), Box::new(FileSource::new(file).map_err(failed)?))),
    }
}

/// Copies what can only be read once, without its compression.
fn read_once(
    mut input: impl Read,
    path: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<(Container, Box<dyn Source>), Error> {
    let head = head(&mut input).map_err(|error| Error::Read { file: name(path), error })?;
    let packing = Packing::detect(&head);
    let input = io::Cursor::new(head).chain(input);
    let container = packing.map(|packing| Container::default().with(Layer::Packed(packing)));
    let source = match packing {
        None => spool::spool(input, progress),
        Some(packing) => unpack(packing, input, progress),
    };
    let source = source.map_err(|failure| failure.of(name(path), container.clone()))?;
    Ok((container.unwrap_or_default(), Box::new(source)))
}

/// Finds the stream in what a file holds.
fn look_inside(
    container: Container,
    source: Box<dyn Source>,
    file: &str,
    wanted: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, Error> {
    let head = head(&mut Sequence::new(&source));
    let head = head.map_err(|error| Error::Read { file: file.to_owned(), error })?;
    if qcow2::detect(&head) {
        return open_qcow2(container, source, file, wanted);
    }
    if let Some(wanted) = wanted {
        return Err(Error::NoQcow2 { file: file.to_owned(), wanted: wanted.to_owned() });
    }
    if libvirt::is_unfinished(&head) {
        return Err(Error::Unfinished { file: file.to_owned() });
    }
    if libvirt::detect(&head) {
        return open_libvirt(container, source, file, progress);
    }
    Ok(Image { container, source })
}

fn open_qcow2(
    container: Container,
    source: Box<dyn Source>,
    file: &str,
    wanted: Option<&str>,
) -> Result<Image, Error> {
    let malformed = |error| Error::Malformed { file: file.to_owned(), kind: "a qcow2 image", error };
    let disk = qcow2::Disk::open(source).map_err(malformed)?;
    let chosen = disk.choose(wanted).filter(|snapshot| snapshot.vm_state_bytes > 0).cloned();
    let Some(snapshot) = chosen else {
        let (wanted, snapshots) = (wanted.map(str::to_owned), disk.snapshots().to_vec());
        return Err(Error::Snapshot { file: file.to_owned(), wanted, snapshots });
    };
    let source = Box::new(disk.vm_state(&snapshot).map_err(malformed)?);
    Ok(Image { container: container.with(Layer::Qcow2(snapshot)), source })
}

fn open_libvirt(
    container: Container,
    source: Box<dyn Source>,
    file: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, Error> {
    let malformed = |error| Error::Malformed { file: file.to_owned(), kind: "a libvirt save image", error };
    let (save, start) = Save::read(&source).map_err(malformed)?;
    let format = save.format;
    let container = container.with(Layer::Libvirt(save));
    let stream = Window::new(source, start);
    let source: Box<dyn Source> = match format {
        Format::Raw | Format::Sparse => Box::new(stream),
        Format::Packed(packing) => {
            let unpacked = unpack(packing, Sequence::new(&stream), progress);
            Box::new(unpacked.map_err(|failure| failure.of(file.to_owned(), Some(container.clone())))?)
        }
    };
    Ok(Image { container, source })
}

/// Unpacks to a temporary file.
fn unpack(
    packing: Packing,
    input: impl Read,
    progress: &mut dyn FnMut(u64),
) -> Result<FileSource, spool::Failure> {
    spool::spool(packing.unpack(input).map_err(spool::Failure::Read)?, progress)
}

/// The first bytes of a file, which are fewer if it is shorter.
fn head(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// A file as an error names it.
fn name(path: &str) -> String {
    if path == "-" { "standard input".to_owned() } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_read_as_a_file_is() {
        let mut bytes = b"LibvirtQemudSave".to_vec();
        bytes.extend([2, 4, 1, 0].map(u32::to_le_bytes).concat());
        bytes.resize(92, 0);
        bytes.extend(b"<d/>QEVM");
        let (container, source) = read_once(bytes.as_slice(), "-", &mut |_| ()).unwrap();
        assert_eq!((container.to_string(), source.len()), ("raw".to_owned(), 100));
        let image = look_inside(container, source, "standard input", None, &mut |_| ()).unwrap();
        assert_eq!((image.container.to_string(), image.source.len()), ("libvirt".to_owned(), 4));
        assert_eq!(image.source.origin(), 96);
    }

    #[test]
    fn a_snapshot_is_named_behind_the_file() {
        assert_eq!(split("disk.qcow2#before#2"), ("disk.qcow2#before", Some("2")));
        assert_eq!(split("-#1"), ("-", Some("1")));
        assert_eq!(split("guest.mig"), ("guest.mig", None));
        let file = tempfile::Builder::new().suffix("#1").tempfile().unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(split(path), (path, None), "a file with that very name");
    }
}
