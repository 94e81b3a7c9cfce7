//! The output of a verb: on standard output, or in a file that appears when it is whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;
use vmstate::source::Source;
use vmstate::stream::{Stream, WriteError};

use crate::verb::Failure;

/// Writes to standard output through `write`. What is written is gathered, and goes out in large pieces.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::Write { file: "standard output".to_owned(), error })
}

/// Prints what a verb has to show: as JSON if that was asked for, for people as `text` writes it.
pub(crate) fn show<T: Serialize + ?Sized>(
    json: bool,
    shown: &T,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    print(|out| if json { write_json(shown, out) } else { text(out) })
}

/// Writes JSON for people to read, and a line's end.
pub(crate) fn write_json<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// The directory that a file is in.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes to a file, or to standard output if there is none.
pub(crate) fn write_to(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    match path {
        Some(path) => write_file(path, |out| write(out)),
        None => print(write),
    }
}

/// Writes a file through `write`. If that fails, nothing is left, and what was there stays.
pub(crate) fn write_file<E: Into<WriteError>>(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
) -> Result<(), Failure> {
    let file = path.display().to_string();
    let failed = |error: io::Error| Failure::Write { file: file.clone(), error };
    // As any new file: what the umask leaves of these.
    let permissions = Permissions::from_mode(0o666);
    let temporary =
        tempfile::Builder::new().permissions(permissions).tempfile_in(folder(path)).map_err(failed)?;
    let mut out: BufWriter<&File> = BufWriter::new(temporary.as_file());
    write(&mut out).map_err(|error| match error.into() {
        WriteError::Write(error) => failed(error),
        error => Failure::Rewrite { file: file.clone(), error },
    })?;
    out.flush().map_err(failed)?;
    drop(out);
    temporary.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Writes a stream, whose RAM is in `source`.
pub(crate) fn write_stream(path: &Path, stream: &Stream, source: &dyn Source) -> Result<(), Failure> {
    write_file(path, |out| stream.write(source, &mut |_| None, out))
}
