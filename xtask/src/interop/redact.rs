//! `vmig redact`: the guest's data is gone, and QEMU loads what is left: no guest runs from that.

use miette::{IntoDiagnostic, Result, miette};
use serde_json::Value;

use super::{FROM_QEMU, FROM_VMIG, Saved, Vmig};
use crate::qemu::Qemu;

pub(super) fn run(saved: &Saved<'_>, to: &Qemu, vmig: Vmig<'_>) -> Result<String> {
    let told = vmig.run(&["redact", FROM_QEMU, "-o", FROM_VMIG, "--identities", "--json"])?;
    let told: Value = serde_json::from_slice(&told).into_diagnostic()?;
    let pages = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    if pages("kept") == 0 || pages("dropped") == 0 {
        return Err(miette!("pages were expected to be kept and to be dropped, vmig says {told}"));
    }
    vmig.run(&["verify", FROM_VMIG])?;
    saved.loads(to)?.quit()?;
    Ok(format!(
        "{} pages kept, {} dropped, loaded with every queue as it was",
        pages("kept"),
        pages("dropped")
    ))
}
