//! A client for QEMU's machine protocol: one JSON object a line over a Unix socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::{Value, json};

/// How long one answer may take; an emulated machine on a busy host can be slow to stop.
const ANSWER: Duration = Duration::from_secs(120);

/// An open connection, past the greeting and `qmp_capabilities`.
#[derive(Debug)]
pub(crate) struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to a socket and leaves negotiation mode.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .into_diagnostic()
            .wrap_err_with(|| format!("no QMP at {}", socket.display()))?;
        stream.set_read_timeout(Some(ANSWER)).into_diagnostic()?;
        let mut qmp = Self { reader: BufReader::new(stream) };
        let greeting = qmp.receive()?;
        if greeting.get("QMP").is_none() {
            return Err(miette!("a QMP greeting was expected, found {greeting}"));
        }
        qmp.command("qmp_capabilities", &Value::Null)?;
        Ok(qmp)
    }

    /// Sends a command and returns its `return`; events in between are passed over.
    pub(crate) fn command(&mut self, name: &str, arguments: &Value) -> Result<Value> {
        let request = if arguments.is_null() {
            json!({ "execute": name })
        } else {
            json!({ "execute": name, "arguments": arguments })
        };
        let stream = self.reader.get_mut();
        stream
            .write_all(format!("{request}\n").as_bytes())
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot send `{name}` to QEMU"))?;
        loop {
            let mut answer = self.receive().wrap_err_with(|| format!("no answer to `{name}`"))?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(miette!("QEMU refused `{name}`: {}", text(error, "desc")));
            }
        }
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).into_diagnostic().wrap_err("QMP gave no answer")?;
        if read == 0 {
            return Err(miette!("QEMU closed the QMP connection: it ended or crashed"));
        }
        serde_json::from_str(&line)
            .into_diagnostic()
            .wrap_err_with(|| format!("QMP sent no JSON: {}", line.trim()))
    }
}

/// A string member of an object, or nothing.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
