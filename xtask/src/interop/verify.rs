//! `vmig verify`: all is decoded and encoded again, and the guest goes on.

use miette::Result;

use super::{FROM_QEMU, FROM_VMIG, Saved, Vmig, no_differences};
use crate::qemu::Qemu;
use crate::truth;

pub(super) fn run(saved: &Saved<'_>, to: &Qemu, vmig: Vmig<'_>) -> Result<String> {
    vmig.run(&["verify", FROM_QEMU, "-o", FROM_VMIG])?;
    let inspected = truth::from_inspect(&vmig.run(&["inspect", FROM_QEMU, "--json"])?)?;
    no_differences("vmig inspect", &truth::differences(&saved.queues, &inspected))?;
    let after = saved.goes_on(to, |_| Ok(()))?;
    Ok(saved.seen(&after))
}
