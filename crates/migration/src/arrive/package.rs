//! The package of post-copy: LISTEN, the sections of the devices, a ping, RUN.

use std::time::Instant;

use tracing::info_span;
use vmstate::stream::{Command, Configuration, Record};

use super::postcopy::Following;
use super::{load, scanned};
use crate::error::Cause;
use crate::incoming::Tail;
use crate::return_path::Message;

impl Following<'_> {
    /// Does what is in the package. The devices may wait for pages meanwhile.
    pub(super) fn package(&self, configuration: Option<&Configuration>, package: &Tail) -> Result<(), Cause> {
        let _span = info_span!("package").entered();
        let refuse = |what: String| Err(Cause::Refused(format!("the package of post-copy has {what}")));
        let (stream, bytes) = scanned(configuration, package)?;
        let mut records = stream.records.iter();
        if !matches!(records.next(), Some(Record::Command { command: Command::PostcopyListen, .. })) {
            return refuse("no LISTEN at its beginning".to_owned());
        }
        let mut is_loaded = false;
        for record in records {
            let command = match record {
                Record::Section(section) if is_loaded || section.is_ram() => {
                    return refuse(format!("a section {} out of place", section.name));
                }
                Record::Section(_) => continue,
                Record::Eof { .. } => break,
                Record::Command { command, .. } => command,
            };
            // All sections are there at the first command behind them.
            if !is_loaded {
                let times = load(self.home, &stream, &bytes, package)?;
                self.clock.note(|moments| moments.checked = Some(Instant::now()));
                self.known.lock().times = times;
                is_loaded = true;
            }
            match command {
                // The source may hear of it before the guest runs, not after.
                Command::Ping(value) => Message::Pong(*value).write(&mut &*self.answers)?,
                Command::PostcopyRun => return self.run_guest(),
                other => return refuse(format!("the command {other:?}")),
            }
        }
        refuse("no RUN".to_owned())
    }
}
