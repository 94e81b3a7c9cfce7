//! A loaded device: the plain state, what the load procedure derived, and the door to run it.

use serde::Serialize;

use crate::core::{Core, Endianness, Features, Ring};
use crate::device::{DeviceState, DeviceType};
use crate::finding::{Finding, Findings, Severity};
use crate::json::JsonError;
use crate::transport::TransportState;

/// The state of a virtio device as the stream has it: plain, and not trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VirtioState {
    /// What the transport has.
    pub transport: TransportState,
    /// What every device has.
    pub core: Core,
    /// What the device type has.
    pub device: DeviceState,
}

impl VirtioState {
    /// The state of a device of this type out of its JSON form.
    ///
    /// # Errors
    /// If it is not of that form.
    pub fn from_json(kind: &DeviceType, json: &serde_json::Value) -> Result<Self, JsonError> {
        Ok(Self {
            transport: JsonError::field(json, "transport")?,
            core: JsonError::field(json, "core")?,
            device: json
                .get("device")
                .ok_or_else(|| JsonError::missing("device"))
                .and_then(|device| DeviceState::from_json(kind, device).map_err(|e| e.within("device")))?,
        })
    }
}

/// What loading made of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The state.
    pub state: VirtioState,
    /// The device's byte order.
    pub endianness: Endianness,
    /// The negotiated features.
    pub features: Features,
    /// The queues, with what the stream leaves to be derived.
    pub rings: Vec<Ring>,
    /// What is wrong with the device.
    pub findings: Findings,
}

/// A device that may run: nothing about it fails the load.
#[derive(Debug, Clone, PartialEq)]
pub struct StoppedDevice(Loaded);

/// A device that must not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the device does not load: {}", findings.iter().map(|f| format!("{f} [{}]", f.code())).collect::<Vec<_>>().join("; "))]
pub struct Refused {
    /// What fails the load.
    pub findings: Vec<Finding>,
}

impl Loaded {
    /// Whether the device is broken: the stream says so, or QEMU marks it so while loading.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let broken = |finding: &Finding| {
            *finding == Finding::MarkedBroken || finding.severity() == Severity::BreaksDevice
        };
        self.findings.iter().any(broken)
    }

    /// The one door to a device that may run.
    ///
    /// # Errors
    /// With all findings for which QEMU fails the load, if there are any.
    pub fn accept(self) -> Result<StoppedDevice, Refused> {
        let fails = |finding: &&Finding| finding.severity() == Severity::FailsLoad;
        let findings: Vec<_> = self.findings.iter().filter(fails).cloned().collect();
        if findings.is_empty() { Ok(StoppedDevice(self)) } else { Err(Refused { findings }) }
    }
}

impl StoppedDevice {
    /// The device as it was loaded.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.0
    }

    /// The device as it was loaded, for the one that goes on as it.
    #[must_use]
    pub fn into_loaded(self) -> Loaded {
        self.0
    }
}
