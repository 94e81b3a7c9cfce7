//! The Debian releases that xtask draws on, and which QEMU each carries.

use clap::ValueEnum;

/// A Debian release, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suite {
    Bookworm,
    Trixie,
    Sid,
}

impl Suite {
    pub(crate) const ALL: [Self; 3] = [Self::Bookworm, Self::Trixie, Self::Sid];

    /// The releases that the guest's kernel and busybox may come from, best first. One of them is
    /// taken, whatever QEMU runs it.
    pub(crate) const GUEST: [Self; 3] = [Self::Trixie, Self::Bookworm, Self::Sid];

    /// The name in the archive.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    /// The QEMU series of the release, as `--qemu` names it.
    pub(crate) fn series(self) -> &'static str {
        match self {
            Self::Bookworm => "7.2",
            Self::Trixie => "10",
            Self::Sid => "11",
        }
    }

    /// The package that holds the emulator of an architecture in this release.
    pub(crate) fn emulator(self, arch: Arch) -> &'static str {
        match (self, arch) {
            (_, Arch::X86_64) => "qemu-system-x86",
            (Self::Bookworm, Arch::S390x) => "qemu-system-misc",
            (Self::Trixie | Self::Sid, Arch::S390x) => "qemu-system-s390x",
        }
    }

    /// Reads a series as users write it: `7.2`, `10`, `10.0`, `11`, or the release's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let named = |suite: &Self| {
            let series = suite.series();
            text == suite.name()
                || text == series
                || text.strip_prefix(series).is_some_and(|x| x.starts_with('.'))
        };
        Self::ALL.into_iter().find(named).ok_or_else(|| {
            format!("no Debian release with QEMU `{text}` is known; expected 7.2 (bookworm), 10 (trixie) or 11 (sid)")
        })
    }
}

/// A guest architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    S390x,
}

impl Arch {
    /// The name QEMU gives it (`qemu-system-NAME`).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::S390x => "s390x",
        }
    }

    /// The name Debian gives it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::S390x => "s390x",
        }
    }

    /// The package that depends on the kernel image the guest runs.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::X86_64 => "linux-image-cloud-amd64",
            Self::S390x => "linux-image-s390x",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_as_users_write_them() {
        assert_eq!(Suite::parse("7.2"), Ok(Suite::Bookworm));
        assert_eq!(Suite::parse("10.0"), Ok(Suite::Trixie));
        assert_eq!(Suite::parse("sid"), Ok(Suite::Sid));
        assert!(Suite::parse("1").is_err());
        assert!(Suite::parse("101").is_err());
    }
}
