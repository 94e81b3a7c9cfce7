//! Where things are: the workspace, its `target` directory and what xtask keeps under it.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};

/// The root of the workspace: the directory above this crate.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.parent().ok_or_else(|| {
        miette!(
            help = "run it as `cargo xtask …` inside the workspace",
            "{} has no parent directory to be the workspace",
            manifest.display()
        )
    })?;
    Ok(root.to_owned())
}

/// `target/` of the workspace, whatever `CARGO_TARGET_DIR` says: downloads outlive a change of it.
pub(crate) fn target() -> Result<PathBuf> {
    Ok(root()?.join("target"))
}

/// `target/qemu`: the fetched QEMU versions and the guest.
pub(crate) fn qemu() -> Result<PathBuf> {
    Ok(target()?.join("qemu"))
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR` if set, else `target/`.
pub(crate) fn cargo_target() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => Ok(root()?.join(dir)),
        None => target(),
    }
}

/// Creates a directory and its parents.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot create {}", dir.display()))
}

/// Writes a file whole, naming it in the error.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, content)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// Reads a file whole, naming it in the error.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).into_diagnostic().wrap_err_with(|| format!("cannot read {}", path.display()))
}
