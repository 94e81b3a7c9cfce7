//! The files of a folder and of the folders in it: those that may hold streams.

use std::fs;
use std::io;
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::{Error, store};

/// A file of a folder.
#[derive(Debug)]
pub struct Entry {
    /// Its path from the folder on, with `/` between the parts.
    pub name: String,
    /// What [`open`](crate::open) takes, or why it cannot be opened.
    pub file: Result<String, Error>,
}

/// Lists the files of a folder and of those in it, by name; or the objects below a prefix (`s3://bucket/prefix`).
/// Links are followed.
///
/// What cannot be listed or is no file is an entry too, with the reason: nothing is left out.
///
/// # Errors
/// If there is no such folder, or it cannot be read.
pub fn list(folder: &str) -> Result<Vec<Entry>, Error> {
    if store::is_url(folder) {
        return store::list(folder);
    }
    let failed = |error| Error::Open { file: folder.to_owned(), error };
    if !fs::metadata(folder).map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    let root = Path::new(folder);
    let walk = WalkDir::new(root).min_depth(1).follow_links(true).into_iter();
    let mut entries: Vec<Entry> = walk.filter_map(|found| entry(root, found)).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// What was found, unless it is a folder.
fn entry(root: &Path, found: walkdir::Result<DirEntry>) -> Option<Entry> {
    let (path, kind) = match found {
        Ok(entry) => (entry.path().to_owned(), Ok(entry.file_type())),
        Err(error) => (error.path().unwrap_or(root).to_owned(), Err(io::Error::from(error))),
    };
    let file = path.to_string_lossy().into_owned();
    let file = match (kind, path.to_str()) {
        (Ok(kind), _) if kind.is_dir() => return None,
        (Ok(kind), _) if !kind.is_file() => Err(Error::NoFile { file }),
        (Ok(_), Some(path)) => Ok(path.to_owned()),
        (Ok(_), None) => {
            let error = io::Error::new(io::ErrorKind::InvalidFilename, "its name is not UTF-8; rename it");
            Err(Error::Open { file, error })
        }
        (Err(error), _) => Err(Error::Open { file, error }),
    };
    let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
    Some(Entry { name, file })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn nothing_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        fs::write(at("b/deep/two"), "").unwrap();
        fs::write(at("a"), "").unwrap();
        symlink(at("a"), at("c")).unwrap();
        symlink(at("nowhere"), at("d")).unwrap();
        symlink(at("b"), at("b/loop")).unwrap();
        let _socket = UnixListener::bind(at("e")).unwrap();
        let entries = list(folder.path().to_str().unwrap()).unwrap();
        let shown: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.file.is_ok())).collect();
        let expected =
            [("a", true), ("b/deep/two", true), ("b/loop", false), ("c", true), ("d", false), ("e", false)];
        assert_eq!(shown, expected);
        assert!(matches!(entries[5].file, Err(Error::NoFile { .. })));
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = list(file.path().to_str().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Open { .. }), "{error}");
        assert!(list("/no/such/folder").is_err());
    }
}
