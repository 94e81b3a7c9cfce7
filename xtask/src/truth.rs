//! What is true of a stopped machine's virtqueues, and what vmig says of them: read, compared.

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cases::Case;
use crate::machine::Machine;
use crate::qemu::qmp::text;

/// A virtio device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceState {
    /// As in the name of the device's section: `0000:00:03.0`, `/fe.0.0001`, `virtio-mmio@…`.
    pub(crate) path: String,
    /// `virtio-net`.
    pub(crate) name: String,
    pub(crate) queues: Vec<QueueState>,
}

/// A virtqueue, as the device sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueState {
    pub(crate) index: u32,
    pub(crate) size: u64,
    /// What the device's own QEMU gives the queue before a driver says anything. Only in the stream
    /// where it differs from `size`, and each QEMU version has its own.
    #[serde(default)]
    pub(crate) size_default: Option<u64>,
    pub(crate) last_avail_idx: u64,
    pub(crate) used_idx: u64,
    pub(crate) inuse: u64,
    #[serde(with = "address")]
    pub(crate) desc: u64,
    #[serde(with = "address")]
    pub(crate) avail: u64,
    #[serde(with = "address")]
    pub(crate) used: u64,
}

/// Asks QEMU for the queues of every virtio device of a stopped machine.
///
/// `x-query-virtio-status` would tell more, but QEMU 11.1.3 aborts on it.
pub(crate) fn ask(machine: &mut Machine<'_>, case: &Case) -> Result<Vec<DeviceState>> {
    let list = machine.command("x-query-virtio", &Value::Null)?;
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut devices = Vec::new();
    for (position, device) in case.devices.iter().enumerate() {
        let under = |entry: &&Value| text(entry, "path").split('/').any(|part| part == device.id());
        let entry = list.iter().find(under).ok_or_else(|| {
            miette!(
                "QEMU lists no virtio device with the identifier {}; it was started with one",
                device.id()
            )
        })?;
        devices.push(DeviceState {
            path: case.path(position),
            name: text(entry, "name").to_owned(),
            queues: queues(machine, text(entry, "path"))?,
        });
    }
    Ok(devices)
}

/// Asks for queue after queue; the first that the device does not have ends the list.
fn queues(machine: &mut Machine<'_>, path: &str) -> Result<Vec<QueueState>> {
    let mut queues = Vec::new();
    for index in 0.. {
        let Ok(status) =
            machine.command("x-query-virtio-queue-status", &json!({ "path": path, "queue": index }))
        else {
            break;
        };
        let member = |name: &str| {
            status
                .get(name)
                .and_then(Value::as_u64)
                .ok_or_else(|| miette!("QEMU gave no `{name}` for {path}"))
        };
        queues.push(QueueState {
            index,
            size: member("vring-num")?,
            size_default: Some(member("vring-num-default")?),
            // Left out by QEMU where it means nothing, and zero then.
            last_avail_idx: member("last-avail-idx").unwrap_or(0),
            used_idx: member("used-idx")?,
            inuse: member("inuse")?,
            desc: member("vring-desc")?,
            avail: member("vring-avail")?,
            used: member("vring-used")?,
        });
    }
    Ok(queues)
}

/// Reads the devices from what `vmig inspect --json` printed.
pub(crate) fn from_inspect(json: &[u8]) -> Result<Vec<DeviceState>> {
    #[derive(Deserialize)]
    struct Inspection {
        devices: Vec<DeviceState>,
    }
    let inspection: Inspection = serde_json::from_slice(json).into_diagnostic().wrap_err(
        "`vmig inspect --json` was expected to print {\"devices\": [{\"path\", \"name\", \"queues\"}]}",
    )?;
    Ok(inspection.devices)
}

/// The same without what a destination has of its own, whatever its stream says.
pub(crate) fn carried(mut devices: Vec<DeviceState>) -> Vec<DeviceState> {
    for queue in devices.iter_mut().flat_map(|device| &mut device.queues) {
        queue.size_default = None;
    }
    devices
}

/// The differences between what is true and what someone else says, one a line.
pub(crate) fn differences(truth: &[DeviceState], said: &[DeviceState]) -> Vec<String> {
    let mut differences = Vec::new();
    for device in truth {
        let same_path = |other: &&DeviceState| plain(&other.path) == plain(&device.path);
        match said.iter().find(same_path) {
            Some(other) => differences.extend(device.differences(other)),
            None => differences.push(format!("{}/{}: not there", device.path, device.name)),
        }
    }
    for other in said {
        if !truth.iter().any(|device| plain(&device.path) == plain(&other.path)) {
            differences.push(format!("{}/{}: QEMU has no such device", other.path, other.name));
        }
    }
    differences
}

/// QEMU's serial device has another name in its section than in QMP.
fn section_name(name: &str) -> &str {
    if name == "virtio-serial" { "virtio-console" } else { name }
}

/// Channel devices have a leading slash in section names; it does not matter here.
fn plain(path: &str) -> &str {
    path.trim_start_matches('/')
}

impl DeviceState {
    fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let path = format!("{}/{}", self.path, self.name);
        if section_name(&self.name) != section_name(&other.name) {
            found.push(format!("{path}: found the name {}", other.name));
        }
        if self.queues.len() != other.queues.len() {
            found.push(format!(
                "{path}: {} queues expected, found {}",
                self.queues.len(),
                other.queues.len()
            ));
        }
        for (queue, other) in self.queues.iter().zip(&other.queues) {
            for ((name, expected), (_name, actual)) in queue.fields().into_iter().zip(other.fields()) {
                if let (Some(expected), Some(actual)) = (expected, actual)
                    && expected != actual
                {
                    found.push(format!(
                        "{path} queue {}: {name} {expected:#x} expected, found {actual:#x}",
                        queue.index
                    ));
                }
            }
        }
        found
    }
}

impl QueueState {
    /// The fields by name; one that is not known is not compared.
    fn fields(&self) -> [(&'static str, Option<u64>); 9] {
        [
            ("index", Some(u64::from(self.index))),
            ("size", Some(self.size)),
            ("size_default", self.size_default),
            ("last_avail_idx", Some(self.last_avail_idx)),
            ("used_idx", Some(self.used_idx)),
            ("inuse", Some(self.inuse)),
            ("desc", Some(self.desc)),
            ("avail", Some(self.avail)),
            ("used", Some(self.used)),
        ]
    }
}

/// Addresses in JSON: written as `"0x1f000"`, read as that or as a number.
mod address {
    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;
    use serde_json::Value;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    pub(super) fn serialize<S: Serializer>(address: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{address:#x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        value.as_u64().or_else(|| value.as_str().and_then(hex)).ok_or_else(|| {
            D::Error::custom(format!("an address such as \"0x1f000\" was expected, found {value}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"stream": {}, "devices": [{"path": "0000:00:03.0", "name": "virtio-net", "transport": "pci",
        "queues": [{"index": 0, "size": 256, "size_default": 1024, "desc": "0x1f000", "avail": "0x20000",
        "used": "0x20240", "last_avail_idx": 7, "used_idx": 7, "inuse": 0, "vector": 1}]}]}"#;

    #[test]
    fn an_inspection_is_read_and_compared() {
        let truth = from_inspect(JSON.as_bytes()).unwrap();
        assert_eq!(truth[0].queues[0].desc, 0x1f000);
        assert!(differences(&truth, &truth).is_empty());

        let mut said = truth.clone();
        said[0].queues[0].used_idx = 8;
        assert_eq!(
            differences(&truth, &said),
            ["0000:00:03.0/virtio-net queue 0: used_idx 0x7 expected, found 0x8"]
        );
        assert_eq!(differences(&truth, &[]), ["0000:00:03.0/virtio-net: not there"]);
        assert_eq!(differences(&[], &truth), ["0000:00:03.0/virtio-net: QEMU has no such device"]);
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        let devices = from_inspect(JSON.as_bytes()).unwrap();
        assert!(serde_json::to_string(&devices).unwrap().contains(r#""desc":"0x1f000""#));
    }
}
