//! A fetched QEMU: where it is, how it is run from its own root, which version it is.

pub(crate) mod qmp;

use std::path::PathBuf;
use std::process::Command;

use miette::{Result, miette};

use crate::debian::suite::{Arch, Suite};
use crate::{debian, tools, workspace};

/// A fetched emulator.
#[derive(Clone, Debug)]
pub(crate) struct Qemu {
    suite: Suite,
    arch: Arch,
    version: String,
}

impl Qemu {
    /// The emulator of an architecture from a release, if it was fetched.
    pub(crate) fn find(suite: Suite, arch: Arch) -> Result<Self> {
        let stamp = Self::stamp(suite, arch)?;
        let version = std::fs::read_to_string(&stamp).map_err(|_error| {
            let (series, arch) = (suite.series(), arch.name());
            miette!(
                "QEMU {series} for {arch} is not fetched: cargo xtask fetch --qemu {series} --arch {arch}"
            )
        })?;
        Ok(Self { suite, arch, version: version.trim().to_owned() })
    }

    /// The file whose presence says that the emulator was fetched; it holds the version.
    pub(crate) fn stamp(suite: Suite, arch: Arch) -> Result<PathBuf> {
        Ok(workspace::qemu()?.join(suite.name()).join(format!("{}.version", arch.name())))
    }

    /// The directory that the emulator's packages are unpacked into.
    pub(crate) fn root(suite: Suite, arch: Arch) -> Result<PathBuf> {
        Ok(workspace::qemu()?.join(suite.name()).join(arch.name()))
    }

    /// Runs an unpacked emulator for its version (`10.0.13`).
    pub(crate) fn ask_version(suite: Suite, arch: Arch) -> Result<String> {
        let said = tools::output(command(suite, arch)?.arg("--version"))?;
        let said = String::from_utf8_lossy(&said).into_owned();
        said.split_whitespace().skip_while(|word| *word != "version").nth(1).map(str::to_owned).ok_or_else(
            || miette!("`--version` said `{}`; `QEMU emulator version X.Y.Z` was expected", said.trim()),
        )
    }

    /// The full version, `10.0.13`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Major and minor version, as machine types carry them: `10.0`.
    pub(crate) fn series(&self) -> String {
        self.version.split('.').take(2).collect::<Vec<_>>().join(".")
    }

    /// A command that runs this emulator, without arguments of a machine yet.
    pub(crate) fn command(&self) -> Result<Command> {
        command(self.suite, self.arch)
    }
}

/// Runs the emulator through the unpacked loader with the unpacked libraries only.
fn command(suite: Suite, arch: Arch) -> Result<Command> {
    let (triplet, loader) = match std::env::consts::ARCH {
        "x86_64" => ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
        "aarch64" => ("aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
        other => {
            return Err(miette!("running QEMU is written for x86_64 and aarch64 hosts, this one is {other}"));
        }
    };
    let root = Qemu::root(suite, arch)?;
    let loader = debian::find(&root, &format!("lib/{triplet}/{loader}"))?;
    let libraries = [root.join("usr/lib").join(triplet), root.join("lib").join(triplet)];
    let library_path = libraries.iter().map(|dir| dir.to_string_lossy()).collect::<Vec<_>>().join(":");
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(library_path);
    command.arg(root.join("usr/bin").join(format!("qemu-system-{}", arch.name())));
    for firmware in ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"] {
        command.arg("-L").arg(root.join(firmware));
    }
    command.env("QEMU_MODULE_DIR", root.join("usr/lib").join(triplet).join("qemu"));
    Ok(command)
}
