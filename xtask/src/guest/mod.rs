//! The guest: a Debian kernel and an initramfs whose init works every virtio device and says so.

mod initramfs;
mod modules;

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::debian::suite::Arch;
use crate::{debian, workspace};

/// The program the guest runs as process 1.
const INIT: &str = include_str!("init.sh");

/// Kernel modules the guest loads, if the kernel has them as modules at all.
const MODULES: [&str; 16] = [
    "virtio",
    "virtio_ring",
    "virtio_pci",
    "virtio_mmio",
    "virtio_ccw",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "rng-core",
    "virtio-rng",
    "virtio_balloon",
    "virtio_input",
    "virtio_scsi",
    "scsi_mod",
    "sd_mod",
    "af_packet",
];

/// What QEMU boots.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

/// The file whose presence says that the guest's packages were fetched; it holds the kernel's name.
pub(crate) fn stamp(arch: Arch) -> Result<PathBuf> {
    Ok(workspace::qemu()?.join("guest").join(format!("{}.version", arch.name())))
}

/// The directory that the guest's packages are unpacked into.
pub(crate) fn root(arch: Arch) -> Result<PathBuf> {
    Ok(workspace::qemu()?.join("guest").join(arch.name()))
}

/// An error that says what to do if the guest of an architecture was not fetched.
pub(crate) fn present(arch: Arch) -> Result<()> {
    if stamp(arch)?.exists() {
        return Ok(());
    }
    let arch = arch.name();
    Err(miette!("the guest for {arch} is not fetched: cargo xtask fetch --arch {arch}"))
}

impl Guest {
    /// The guest of an architecture; its initramfs is built anew into `dir`.
    pub(crate) fn build(arch: Arch, dir: &Path) -> Result<Self> {
        present(arch)?;
        let root = root(arch)?;
        let modules = modules::closure(&debian::find(&root, "lib/modules")?, &MODULES)?;
        let archive =
            initramfs::archive(INIT, &workspace::read(&debian::find(&root, "bin/busybox")?)?, &modules)?;
        let initramfs = dir.join(format!("initramfs-{}.gz", arch.name()));
        workspace::write(&initramfs, archive)?;
        Ok(Self { kernel: kernel(&root)?, initramfs })
    }
}

fn kernel(root: &Path) -> Result<PathBuf> {
    let boot = root.join("boot");
    let named = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("vmlinu");
    std::fs::read_dir(&boot)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot list {}", boot.display()))?
        .filter_map(std::io::Result::ok)
        .find(named)
        .map(|entry| entry.path())
        .ok_or_else(|| {
            miette!("no vmlinuz in {}; the kernel's package was expected to hold one", boot.display())
        })
}
