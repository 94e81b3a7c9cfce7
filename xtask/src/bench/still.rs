//! A QEMU whose guest never ran: its RAM is what a file has, so that it is the same in every run.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::{Value, json};

use crate::qemu::Qemu;
use crate::qemu::qmp::{Qmp, text};

/// How long QEMU may take to answer, and a migration to end.
const TO_START: Duration = Duration::from_secs(20);
const TO_END: Duration = Duration::from_secs(180);
/// More than any channel here carries.
const BANDWIDTH: u64 = 1 << 40;

/// A QEMU that stands still. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Still {
    child: Child,
    qmp: Qmp,
}

impl Still {
    /// One whose RAM is `ram`, or that waits for a guest with so many bytes.
    pub(super) fn start(qemu: &Qemu, dir: &Path, name: &str, ram: Option<&Path>, bytes: u64) -> Result<Self> {
        let socket: PathBuf = dir.join(format!("{name}.qmp"));
        let backend = match ram {
            Some(file) => {
                format!("memory-backend-file,id=ram,size={bytes},share=on,mem-path={}", file.display())
            }
            None => format!("memory-backend-ram,id=ram,size={bytes}"),
        };
        let mut command = qemu.command()?;
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-S"]);
        command.args([
            "-M",
            "q35,memory-backend=ram",
            "-m",
            &format!("{}M", bytes >> 20),
            "-object",
            &backend,
        ]);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", socket.display())]);
        if ram.is_none() {
            command.args(["-incoming", "defer"]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.into_diagnostic().wrap_err("QEMU does not start")?;
        let start = Instant::now();
        loop {
            match Qmp::connect(&socket) {
                Ok(qmp) => return Ok(Self { child, qmp }),
                Err(error) if start.elapsed() > TO_START => {
                    drop(child.kill());
                    return Err(error);
                }
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }

    fn agree(&mut self) -> Result<()> {
        let on = json!({ "capabilities": [{ "capability": "return-path", "state": true }] });
        self.qmp.command("migrate-set-capabilities", &on)?;
        self.qmp.command("migrate-set-parameters", &json!({ "max-bandwidth": BANDWIDTH })).map(drop)
    }

    /// Waits for a guest at an address.
    pub(super) fn wait_at(&mut self, address: &str) -> Result<()> {
        self.agree()?;
        self.qmp.command("migrate-incoming", &json!({ "uri": address })).map(drop)
    }

    /// Seconds that processors have worked for it.
    pub(super) fn processor_time(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).into_diagnostic()?;
        // Behind the name, which may have anything in it: state is the first field, user and system time the 12th and
        // 13th (proc_pid_stat(5)).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        let a_second = u32::try_from(rustix::param::clock_ticks_per_second()).into_diagnostic()?;
        Ok(ticks / f64::from(a_second))
    }

    /// Sends the guest away; how long that took, as the source measured it.
    pub(super) fn send_to(&mut self, address: &str) -> Result<Duration> {
        self.agree()?;
        self.qmp.command("migrate", &json!({ "uri": address }))?;
        let start = Instant::now();
        while start.elapsed() < TO_END {
            let migration = self.qmp.command("query-migrate", &Value::Null)?;
            match text(&migration, "status") {
                "completed" => {
                    let total = migration.get("total-time").and_then(Value::as_u64).unwrap_or_default();
                    return Ok(Duration::from_millis(total));
                }
                "failed" | "cancelled" => {
                    return Err(miette!("the migration failed: {}", text(&migration, "error-desc")));
                }
                _ => sleep(Duration::from_millis(5)),
            }
        }
        Err(miette!("the migration did not end within {} s", TO_END.as_secs()))
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
