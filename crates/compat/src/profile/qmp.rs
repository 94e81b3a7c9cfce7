//! Asks a waiting QEMU over its QMP socket for what a profile needs.
//!
//! Nothing at the machine is changed. `x-query-virtio-status` is left out where it ends QEMU: 11.1.3
//! aborts on it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};

use serde_json::{Map, Value, json};

use super::Release;
use super::record::{QmpRecord, VirtioRecord};

/// Why a QEMU could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QmpError {
    /// The socket could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An answer was not JSON.
    #[error("not an answer of QMP: {0}")]
    Json(#[from] serde_json::Error),
    /// A command was refused.
    #[error("{command}: {message}")]
    Refused {
        /// The command.
        command: String,
        /// What QEMU says.
        message: String,
    },
}

/// The first release that answers `x-query-virtio-status`, and the first that is not asked: 10.0.13
/// answers, 11.1.3 aborts.
const VIRTIO_STATUS: (Release, Release) = (Release(7, 2), Release(10, 1));
/// The longest line that is read.
const LONGEST: u64 = 16 << 20;

/// Asks the QEMU at the other end of a connection to its QMP socket.
///
/// # Errors
/// If the connection breaks, or a command that every QEMU knows is refused.
pub fn ask<S: Read + Write>(socket: S) -> Result<QmpRecord, QmpError> {
    let mut qmp = Qmp { socket: BufReader::new(socket) };
    qmp.line()?;
    qmp.execute("qmp_capabilities", json!({}))?;
    let version = version(&qmp.execute("query-version", json!({}))?);
    let mut record = QmpRecord {
        machine: qmp.get("/machine", "type")?.as_str().map(str::to_owned),
        qtree: qmp.monitor("info qtree")?,
        ramblock: qmp.monitor("info ramblock")?,
        network: qmp.monitor("info network")?,
        capabilities: Some(capabilities(&qmp.execute("query-migrate-capabilities", json!({}))?)),
        // Not every machine type can tell.
        max_cpus: qmp.execute("query-hotpluggable-cpus", json!({})).ok().and_then(|cpus| max_cpus(&cpus)),
        ..QmpRecord::default()
    };
    let release = version.as_deref().and_then(Release::parse);
    record.dest_qemu = version;
    if release.is_some_and(|release| (VIRTIO_STATUS.0..VIRTIO_STATUS.1).contains(&release)) {
        qmp.virtio(&mut record)?;
    }
    Ok(record)
}

struct Qmp<S: Read + Write> {
    socket: BufReader<S>,
}

impl<S: Read + Write> Qmp<S> {
    fn line(&mut self) -> Result<Value, QmpError> {
        let mut line = String::new();
        (&mut self.socket).take(LONGEST).read_line(&mut line)?;
        if line.is_empty() {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut request = serde_json::to_vec(&json!({ "execute": command, "arguments": arguments }))?;
        request.push(b'\n');
        self.socket.get_mut().write_all(&request)?;
        loop {
            let mut answer = self.line()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                let message = error.get("desc").and_then(Value::as_str).unwrap_or("refused").to_owned();
                return Err(QmpError::Refused { command: command.to_owned(), message });
            }
            // An event: something else happened meanwhile.
        }
    }

    fn monitor(&mut self, line: &str) -> Result<String, QmpError> {
        let text = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    fn get(&mut self, path: &str, property: &str) -> Result<Value, QmpError> {
        self.execute("qom-get", json!({ "path": path, "property": property }))
    }

    /// What QEMU says of each virtio device, and the properties by which it is found in the tree.
    fn virtio(&mut self, record: &mut QmpRecord) -> Result<(), QmpError> {
        let devices = self.execute("x-query-virtio", json!({}))?;
        for device in devices.as_array().into_iter().flatten() {
            let text = |key| device.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (path, name) = (text("path"), text("name"));
            let status = self.execute("x-query-virtio-status", json!({ "path": path })).ok();
            let parent = path.trim_end_matches("/virtio-backend").to_owned();
            let mut properties = self.properties(&parent)?;
            if parent != path {
                let inner = self.properties(&path)?;
                properties
                    .extend(inner.into_iter().map(|(name, value)| (format!("virtio-backend.{name}"), value)));
            }
            record.props.insert(parent, properties);
            record.virtio.push(VirtioRecord { path, name, status });
        }
        Ok(())
    }

    fn properties(&mut self, path: &str) -> Result<Map<String, Value>, QmpError> {
        let list = self.execute("qom-list", json!({ "path": path }))?;
        let mut found = BTreeMap::new();
        for property in list.as_array().into_iter().flatten() {
            let text = |key| property.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, ty) = (text("name"), text("type"));
            let is_object = ["child<", "link<"].iter().any(|object| ty.starts_with(object));
            if let Some(value) = (!is_object).then(|| self.get(path, name).ok()).flatten() {
                found.insert(name.to_owned(), value);
            }
        }
        Ok(found.into_iter().collect())
    }
}

fn version(answer: &Value) -> Option<String> {
    let qemu = answer.get("qemu")?;
    let number = |key| qemu.get(key).and_then(Value::as_u64);
    Some(format!("{}.{}.{}", number("major")?, number("minor")?, number("micro")?))
}

fn capabilities(answer: &Value) -> Vec<String> {
    let all = answer.as_array().into_iter().flatten();
    let on = all.filter(|capability| capability.get("state").and_then(Value::as_bool) == Some(true));
    on.filter_map(|capability| Some(capability.get("capability")?.as_str()?.to_owned())).collect()
}

fn max_cpus(answer: &Value) -> Option<u64> {
    answer.as_array()?.iter().map(|cpu| cpu.get("vcpus-count")?.as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A QEMU that answers with what it was given, one line for each request.
    struct Script {
        answers: std::io::Cursor<Vec<u8>>,
        asked: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.answers.read(buf)
        }
    }

    impl Write for Script {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.asked.write(buf)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn script(lines: &[&str]) -> Script {
        Script { answers: std::io::Cursor::new((lines.join("\n") + "\n").into_bytes()), asked: Vec::new() }
    }

    #[test]
    fn a_new_qemu_is_not_asked_for_what_it_dies_of() {
        let mut socket = script(&[
            r#"{"QMP": {}}"#,
            r#"{"return": {}}"#,
            r#"{"event": "RESUME"}"#,
            r#"{"return": {"qemu": {"major": 11, "minor": 1, "micro": 3}}}"#,
            r#"{"return": "pc-q35-11.1-machine"}"#,
            r#"{"return": "bus: main-system-bus\n"}"#,
            r#"{"return": ""}"#,
            r#"{"return": ""}"#,
            r#"{"return": [{"capability": "mapped-ram", "state": true}, {"capability": "multifd", "state": false}]}"#,
            r#"{"error": {"desc": "machine does not support hot-plugging CPUs"}}"#,
        ]);
        let record = ask(&mut socket).unwrap();
        assert_eq!(record.dest_qemu.as_deref(), Some("11.1.3"));
        assert_eq!(record.capabilities, Some(vec!["mapped-ram".to_owned()]));
        assert_eq!(record.max_cpus, None);
        assert!(!String::from_utf8(socket.asked).unwrap().contains("x-query-virtio"));
    }

    #[test]
    fn a_connection_that_ends_is_an_error() {
        assert!(matches!(ask(&mut script(&[r#"{"QMP": {}}"#])), Err(QmpError::Io(_))));
        assert!(matches!(ask(&mut script(&["hello"])), Err(QmpError::Json(_))));
    }
}
