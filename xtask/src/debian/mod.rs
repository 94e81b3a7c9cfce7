//! Debian packages without touching the system: apt with its own configuration, lists and cache
//! in a directory of ours, and `dpkg-deb -x` into a root of ours. Nothing here needs privileges.

pub(crate) mod apt;
pub(crate) mod keyring;
pub(crate) mod mirror;
pub(crate) mod suite;

use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{Result, WrapErr};

use crate::{tools, workspace};

/// Unpacks packages into a root with the merged-`/usr` layout, so that old and new packages agree.
pub(crate) fn unpack(packages: &[PathBuf], root: &Path) -> Result<()> {
    for dir in ["bin", "sbin", "lib", "lib64"] {
        let real = Path::new("usr").join(dir);
        workspace::create_dir(&root.join(&real))?;
        let link = root.join(dir);
        if std::fs::symlink_metadata(&link).is_err() {
            std::os::unix::fs::symlink(&real, &link)
                .map_err(|error| miette::miette!("cannot make the link {}: {error}", link.display()))?;
        }
    }
    for package in packages {
        tools::output(Command::new("dpkg-deb").arg("-x").arg(package).arg(root))
            .wrap_err_with(|| format!("cannot unpack {}", package.display()))?;
    }
    Ok(())
}

/// The architecture of this machine, as Debian names it.
pub(crate) fn host_architecture() -> Result<String> {
    let said = tools::output(Command::new("dpkg").arg("--print-architecture"))
        .wrap_err("xtask fetch works on Debian and its derivatives, with dpkg and apt")?;
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}
