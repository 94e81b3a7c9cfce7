//! A host process, as the world has it.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::protocol::{Order, Setting};
use super::world::World;

/// A host. Ended when dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    child: Child,
    orders: ChildStdin,
    words: Receiver<Value>,
}

impl Process {
    /// Starts a host that boots a guest, or waits for one and keeps its stream.
    pub(super) fn start(
        world: &World,
        name: &str,
        setting: &Setting,
        boot: bool,
        keep: Option<&Path>,
    ) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("demo-host").arg(world.dir()).arg(name).arg(serde_json::to_string(setting)?);
        if boot {
            command.arg("--boot");
        }
        if let Some(keep) = keep {
            command.arg("--keep").arg(keep);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (sender, words) = channel();
        let (orders, said) = (child.stdin.take(), child.stdout.take());
        let (Some(orders), Some(said)) = (orders, said) else {
            return Err(io::Error::other("the host has no pipes"));
        };
        thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                let word = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(word).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name: name.to_owned(), child, orders, words })
    }

    /// Orders it to do something.
    pub(super) fn order(&mut self, order: &Order) -> io::Result<()> {
        let line = serde_json::to_string(order)?;
        writeln!(self.orders, "{line}")
    }

    /// What it says next, if it says something in time; `Err` if it has ended.
    pub(super) fn word(&self, within: Duration) -> io::Result<Option<Value>> {
        match self.words.recv_timeout(within) {
            Ok(word) => Ok(Some(word)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::other(format!("the process of {} has ended", self.name)))
            }
        }
    }

    /// Kills it: SIGKILL, of which it knows nothing before.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
