//! The vmig that is tried: built, found, and run while a guest goes through it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use rustix::process::Signal;
use serde_json::Value;

use crate::machine::signal;
use crate::qemu::qmp::text;
use crate::tools;

/// How often it is looked whether vmig has ended.
const GLANCE: Duration = Duration::from_millis(50);

/// The program: that which was named, or else that of the workspace, which is built first.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(vmig) = named {
        return vmig.canonicalize().into_diagnostic().wrap_err_with(|| format!("no {}", vmig.display()));
    }
    tools::built("vmig")
}

/// A live verb that runs, with the events it prints. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Live {
    child: Child,
    events: Receiver<Value>,
    seen: Vec<Value>,
    errors: PathBuf,
}

/// How a live verb ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Everything that it printed.
    pub(crate) events: Vec<Value>,
    /// What it said on standard error, the end of it.
    pub(crate) said: String,
}

impl Live {
    /// Starts a verb in a directory, where what it says goes to `NAME.stderr`.
    pub(crate) fn start(command: &mut Command, dir: &Path, name: &str) -> Result<Self> {
        let errors = dir.join(format!("{name}.stderr"));
        let file = std::fs::File::create(&errors).into_diagnostic()?;
        command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().into_diagnostic().wrap_err_with(|| tools::cannot_start(command))?;
        let (sender, events) = channel();
        let output = child.stdout.take().ok_or_else(|| miette!("vmig has no standard output"))?;
        spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // What is no JSON stays visible in what was seen.
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, events, seen: Vec::new(), errors })
    }

    /// The address at which it waits for a source.
    pub(crate) fn listening(&mut self, limit: Duration) -> Result<String> {
        let event = self.wait_for("it to listen", limit, |event| text(event, "event") == "listening")?;
        Ok(text(&event, "channel").to_owned())
    }

    /// Waits for an event; one that was there before is not seen again.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let start = Instant::now();
        loop {
            match self.events.recv_timeout(limit.saturating_sub(start.elapsed())) {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if wanted(&event) {
                        return Ok(event);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(miette!("waited {} s for {what}; vmig: {}", limit.as_secs(), self.said()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(miette!("vmig ended while waiting for {what}: {}", self.said()));
                }
            }
        }
    }

    /// Watches the most memory that it has until it ends, in KiB.
    pub(crate) fn peak_memory(&self) -> JoinHandle<u64> {
        let status = format!("/proc/{}/status", self.child.id());
        spawn(move || {
            let peak = || {
                let status = std::fs::read_to_string(&status).ok()?;
                let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
                peak.trim().trim_end_matches(" kB").parse().ok()
            };
            let mut most = 0;
            // One that has ended has none.
            while let Some(peak) = peak() {
                most = most.max(peak);
                sleep(GLANCE / 5);
            }
            most
        })
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait().into_diagnostic()?.is_some() {
            return Err(miette!("vmig ended before it was to get {signal:?}: {}", self.said()));
        }
        signal::send(&self.child, signal)
    }

    /// Waits until it ends.
    pub(crate) fn end(mut self, limit: Duration) -> Result<Ended> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().into_diagnostic()? {
                break status;
            }
            if start.elapsed() > limit {
                let last = self.events.try_iter().last();
                return Err(miette!(
                    "waited {} s for vmig to end; it said {}, and last {last:?}",
                    limit.as_secs(),
                    self.said()
                ));
            }
            sleep(GLANCE);
        };
        // The process has ended, and with it what the thread reads from.
        let mut events = std::mem::take(&mut self.seen);
        events.extend(self.events.iter());
        Ok(Ended { status, events, said: self.said() })
    }

    fn said(&self) -> String {
        let said = std::fs::read(&self.errors).unwrap_or_default();
        let said = tools::tail(&String::from_utf8_lossy(&said));
        if said.is_empty() { "it said nothing".to_owned() } else { said }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ended {
    /// An error unless it ended well.
    pub(crate) fn well(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        Err(miette!("vmig ended with {}: {}", self.status, self.said))
    }

    /// The last event of a kind.
    pub(crate) fn last(&self, kind: &str) -> Option<&Value> {
        self.events.iter().rev().find(|event| text(event, "event") == kind)
    }
}
