//! The keys that Debian signs its releases with.
//!
//! A machine with an older Debian may lack the keys of a newer release. Then the newer
//! `debian-archive-keyring` is taken from an older release that the machine can verify, and used
//! for the newer one: the chain of signatures is not broken, and the user is told.

use std::path::{Path, PathBuf};

use miette::{Result, miette};

use super::apt::{Apt, Source};
use super::suite::Suite;
use crate::tools;

/// Where Debian's own package puts the keyring.
const INSTALLED: [&str; 2] =
    ["usr/share/keyrings/debian-archive-keyring.gpg", "usr/share/keyrings/debian-archive-keyring.pgp"];

/// The keyring under a root directory (`/` is the machine's own), if there is one.
pub(crate) fn under(root: &Path) -> Option<PathBuf> {
    INSTALLED.iter().map(|path| root.join(path)).find(|path| path.exists())
}

/// The machine's own keyring.
pub(crate) fn of_this_machine() -> Result<PathBuf> {
    under(Path::new("/")).ok_or_else(|| {
        miette!(
            help = "install the package debian-archive-keyring, or name a keyring with --keyring FILE",
            "no keyring of the Debian archive on this machine: /{} was expected",
            INSTALLED[0]
        )
    })
}

/// Fetches the lists of a release, with a keyring from an older release if the given one is too old.
///
/// `dir` is where apt works; `keys` is where a newer keyring is unpacked.
pub(crate) fn update_verified(
    dir: &Path,
    keys: &Path,
    suite: Suite,
    arch: &str,
    source: &Source,
) -> Result<Apt> {
    let apt = Apt::new(dir, suite, arch, source)?;
    let error = match apt.update() {
        Ok(()) => return Ok(apt),
        Err(error) => error,
    };
    if !is_about_keys(&error) {
        return Err(error);
    }
    eprintln!("{}: the keys in {} cannot verify it", suite.name(), source.keyring.display());
    for older in Suite::ALL.into_iter().filter(|older| *older < suite).rev() {
        let keyring = match newer_keyring(keys, older, arch, source) {
            Ok(keyring) => keyring,
            Err(error) => {
                eprintln!(
                    "{}: no keyring from {} either: {}",
                    suite.name(),
                    older.name(),
                    tools::words(&error)
                );
                continue;
            }
        };
        let apt = Apt::new(dir, suite, arch, &Source { keyring, ..source.clone() })?;
        if apt.update().is_ok() {
            eprintln!("{}: verified with the debian-archive-keyring of {}", suite.name(), older.name());
            return Ok(apt);
        }
    }
    Err(miette!(
        help = "install a newer debian-archive-keyring, or name one with --keyring FILE",
        "the signature of {} cannot be verified, and no older release has its key: {}",
        suite.name(),
        tools::words(&error)
    ))
}

/// The keyring package of an older release that the given keyring can verify.
fn newer_keyring(keys: &Path, older: Suite, arch: &str, source: &Source) -> Result<PathBuf> {
    let root = keys.join(older.name());
    if let Some(keyring) = under(&root) {
        return Ok(keyring);
    }
    let apt = Apt::new(&keys.join(format!("{}-apt", older.name())), older, arch, source)?;
    apt.update()?;
    super::unpack(&apt.download(&["debian-archive-keyring"])?, &root)?;
    under(&root).ok_or_else(|| miette!("debian-archive-keyring of {} holds no keyring", older.name()))
}

/// Whether apt's words are about a missing key and not, say, the network.
fn is_about_keys(error: &miette::Report) -> bool {
    let text = tools::words(error);
    ["NO_PUBKEY", "is not signed", "Missing key", "couldn't be verified"]
        .iter()
        .any(|word| text.contains(word))
}
