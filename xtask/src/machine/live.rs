//! A machine as an end of a live migration: what it is told before, where it waits, how it went.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use miette::{Result, miette};
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use super::{GLANCE, Machine, TO_BEAT, TO_MIGRATE, signal};
use crate::qemu::qmp::text;

/// What both ends of a channel have to agree on, and how fast the guest goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms<'a> {
    /// Channels for pages beside the main one; 0 is without multifd.
    pub(crate) multifd: usize,
    /// How those are compressed: QEMU's and vmig's name for it.
    pub(crate) compression: Option<&'a str>,
    /// The directory of certificates, if the channel is encrypted.
    pub(crate) tls: Option<&'a Path>,
    /// Bytes in a second, the most; QEMU's own limit if there is none.
    pub(crate) bandwidth: Option<u64>,
    /// Whether the source waits for an answer. It cannot if the channel goes one way only.
    pub(crate) one_way: bool,
}

/// Which part a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Source,
    Destination,
}

/// What a machine does with its guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Running,
    /// Something else, in QEMU's word: `postmigrate`, `inmigrate`, `paused`, …
    Other(String),
    /// QEMU has ended.
    Gone,
}

/// How a migration ended at its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Completed {
        /// The time without the guest, as the source measured it.
        downtime_ms: u64,
    },
    /// It was given up; what QEMU says of it.
    GivenUp(String),
    /// QEMU itself has ended.
    Gone,
}

impl Machine<'_> {
    /// Begins to send the running guest; an address as QEMU writes it.
    pub(crate) fn send_to(&mut self, address: &str, terms: Terms<'_>) -> Result<()> {
        self.agree(Part::Source, terms)?;
        self.command("migrate", &json!({ "uri": address })).map(drop)
    }

    /// Has a machine wait for a guest; the address at which it does, with the port that it got.
    pub(crate) fn wait_at(&mut self, address: &str, terms: Terms<'_>) -> Result<String> {
        self.agree(Part::Destination, terms)?;
        self.command("migrate-incoming", &json!({ "uri": address }))?;
        if !address.starts_with("tcp:") {
            return Ok(address.to_owned());
        }
        self.wait(
            TO_MIGRATE,
            || format!("QEMU to listen at {address}"),
            |machine| {
                let migration = machine.command("query-migrate", &Value::Null)?;
                let socket = migration.pointer("/socket-address/0").unwrap_or(&Value::Null);
                let (host, port) = (text(socket, "host"), text(socket, "port"));
                Ok((!port.is_empty()).then(|| format!("tcp:{host}:{port}")))
            },
        )
    }

    /// Has a machine load a file in which each page has its own place.
    pub(crate) fn load_mapped(&mut self, file: &str) -> Result<()> {
        self.capabilities(&["mapped-ram"])?;
        self.command("migrate-incoming", &json!({ "uri": format!("file:{file}") })).map(drop)
    }

    fn agree(&mut self, part: Part, terms: Terms<'_>) -> Result<()> {
        let mut capabilities = vec!["events"];
        if part == Part::Source && !terms.one_way {
            capabilities.push("return-path");
        }
        let mut parameters = Map::new();
        if terms.multifd > 0 {
            capabilities.push("multifd");
            parameters.insert("multifd-channels".to_owned(), json!(terms.multifd));
            if let Some(compression) = terms.compression {
                parameters.insert("multifd-compression".to_owned(), json!(compression));
            }
        }
        if part == Part::Source
            && let Some(bandwidth) = terms.bandwidth
        {
            parameters.insert("max-bandwidth".to_owned(), json!(bandwidth));
        }
        if let Some(dir) = terms.tls {
            let endpoint = if part == Part::Source { "client" } else { "server" };
            let id = format!("tls-{endpoint}");
            self.command(
                "object-add",
                &json!({ "qom-type": "tls-creds-x509", "id": id, "dir": dir, "endpoint": endpoint, "verify-peer": true }),
            )?;
            parameters.insert("tls-creds".to_owned(), json!(id));
            if part == Part::Source {
                parameters.insert("tls-hostname".to_owned(), json!(crate::tls::HOST));
            }
        }
        self.capabilities(&capabilities)?;
        self.command("migrate-set-parameters", &Value::Object(parameters)).map(drop)
    }

    fn capabilities(&mut self, names: &[&str]) -> Result<()> {
        let on: Vec<_> = names.iter().map(|name| json!({ "capability": name, "state": true })).collect();
        self.command("migrate-set-capabilities", &json!({ "capabilities": on })).map(drop)
    }

    /// Waits until the source knows how it ended.
    pub(crate) fn wait_for_end(&mut self, limit: Duration) -> Result<Ended> {
        let start = Instant::now();
        while start.elapsed() <= limit {
            let Ok(migration) = self.command("query-migrate", &Value::Null) else {
                if self.doing()? == Doing::Gone {
                    return Ok(Ended::Gone);
                }
                continue;
            };
            match text(&migration, "status") {
                "completed" => {
                    let downtime_ms = migration.get("downtime").and_then(Value::as_u64).unwrap_or_default();
                    return Ok(Ended::Completed { downtime_ms });
                }
                status @ ("failed" | "cancelled") => {
                    return Ok(Ended::GivenUp(format!("{status} {}", text(&migration, "error-desc"))));
                }
                _ => sleep(GLANCE / 4),
            }
        }
        Err(miette!("waited {} s for the source to end its migration", limit.as_secs()))
    }

    /// What the machine does with its guest.
    pub(crate) fn doing(&mut self) -> Result<Doing> {
        // An answer that does not come is that of a QEMU that is about to end.
        let status = self.command("query-status", &Value::Null);
        if self.has_ended()? {
            return Ok(Doing::Gone);
        }
        let Ok(status) = status else {
            sleep(GLANCE);
            return if self.has_ended()? { Ok(Doing::Gone) } else { Ok(Doing::Other("silent".to_owned())) };
        };
        match text(&status, "status") {
            "running" => Ok(Doing::Running),
            other => Ok(Doing::Other(other.to_owned())),
        }
    }

    /// Waits until the machine runs the guest that came to it.
    pub(crate) fn wait_until_running(&mut self) -> Result<()> {
        self.wait(
            TO_MIGRATE,
            || "the guest to run".to_owned(),
            |machine| Ok((machine.doing()? == Doing::Running).then_some(())),
        )
    }

    /// Waits until the machine stands still, for a reason in QEMU's word.
    pub(crate) fn wait_until_it_is(&mut self, word: &str) -> Result<()> {
        self.wait(
            TO_BEAT,
            || format!("the machine to be {word}"),
            |machine| Ok((machine.doing()? == Doing::Other(word.to_owned())).then_some(())),
        )
    }

    /// Sends a signal to QEMU.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.has_ended()? {
            return Err(miette!("QEMU ended before it was to get {signal:?}"));
        }
        signal::send(&self.child, signal)
    }
}
