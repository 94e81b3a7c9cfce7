//! Debian packages without touching the system: apt with its own configuration, lists and cache
//! in a directory of ours, and `dpkg-deb -x` into a root of ours. Nothing here needs privileges.

pub(crate) mod apt;
pub(crate) mod keyring;
pub(crate) mod mirror;
pub(crate) mod suite;

use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{Result, WrapErr, miette};

use crate::{tools, workspace};

/// Unpacks packages into a root of their own; what was in it is removed. Older packages have `lib` and `bin`, newer ones `usr/lib` and
/// `usr/bin`; they stay where they are, see [`find`].
pub(crate) fn unpack(packages: &[PathBuf], root: &Path) -> Result<()> {
    if root.exists() {
        std::fs::remove_dir_all(root).map_err(|error| miette!("cannot empty {}: {error}", root.display()))?;
    }
    workspace::create_dir(root)?;
    for package in packages {
        tools::output(Command::new("dpkg-deb").arg("-x").arg(package).arg(root))
            .wrap_err_with(|| format!("cannot unpack {}", package.display()))?;
    }
    Ok(())
}

/// The place of a file or directory in a root, under `usr` or, in older packages, beside it.
pub(crate) fn find(root: &Path, path: &str) -> Result<PathBuf> {
    let places = [root.join("usr").join(path), root.join(path)];
    places.into_iter().find(|place| place.exists()).ok_or_else(|| {
        miette!(
            "neither {path} nor usr/{path} is in {}; a fetched package was expected to hold it",
            root.display()
        )
    })
}

/// The architecture of this machine, as Debian names it.
pub(crate) fn host_architecture() -> Result<String> {
    let said = tools::output(Command::new("dpkg").arg("--print-architecture"))
        .wrap_err("xtask fetch works on Debian and its derivatives, with dpkg and apt")?;
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}
