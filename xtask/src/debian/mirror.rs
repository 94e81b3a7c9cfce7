//! Which Debian mirror to ask: the one this machine already uses, unless `--mirror` names another.

use std::process::Command;

use miette::{Result, miette};

use crate::tools;

/// The URI of the main Debian archive among the machine's own apt sources.
pub(crate) fn of_this_machine() -> Result<String> {
    let said = tools::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines()
        .map(|uri| uri.trim_end_matches('/'))
        .find(|uri| uri.ends_with("/debian"))
        .map(str::to_owned)
        .ok_or_else(|| {
            miette!(
                help = "name one with --mirror URI (or VMIG_DEBIAN_MIRROR), for example the URI in your sources.list",
                "none of this machine's apt sources is a Debian archive (a URI that ends in /debian was expected)"
            )
        })
}

/// The machine's own apt settings that decide how a mirror is reached: proxies, time-outs, date checks.
pub(crate) fn transport_settings() -> Result<Vec<String>> {
    let said = tools::output(Command::new("apt-config").arg("dump"))?;
    let kept = |line: &&str| {
        ["Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries"]
            .iter()
            .any(|prefix| line.starts_with(prefix))
    };
    Ok(String::from_utf8_lossy(&said).lines().filter(kept).map(str::to_owned).collect())
}
