//! What a device compares with its own when it is loaded, beside features and queues.

use serde::{Deserialize, Serialize};
use virtio::device::DeviceState;
use virtio::device::mem::MemProperties;
use virtio::loaded::VirtioState;
use virtio::transport::TransportState;

/// Values of the destination's device that the stream's must equal or fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceFacts {
    /// net: queue pairs at most; 1 if the section does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queue_pairs: Option<u16>,
    /// net: whether the network side takes virtio-net headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_vnet_hdr: Option<bool>,
    /// net: whether the network side takes UDP fragmentation offload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_ufo: Option<bool>,
    /// gpu: screens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_outputs: Option<u64>,
    /// console: a bit for each port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports_map: Option<Vec<u32>>,
    /// mem: where the memory is, and in which blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemProperties>,
    /// ccw: channel subsystem, subchannel set, device number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ccw: Option<(u8, u8, u16)>,
}

impl DeviceFacts {
    /// What the state of a device has of them. `memory` of a memory device may be in its early section.
    #[must_use]
    pub fn of(state: &VirtioState, early: Option<MemProperties>) -> Self {
        let mut facts = Self::default();
        if let TransportState::Ccw(ccw) = &state.transport {
            let subchannel = &ccw.device.sch;
            facts.ccw = Some((subchannel.cssid, subchannel.ssid, subchannel.devno));
        }
        match &state.device {
            DeviceState::Net(net) => {
                facts.max_queue_pairs = Some(net.max_queue_pairs.unwrap_or(1));
                facts.has_vnet_hdr = Some(net.has_vnet_hdr != 0);
                facts.has_ufo = Some(net.has_ufo);
            }
            DeviceState::Gpu(gpu) => facts.max_outputs = Some(gpu.scanouts.scanout.len() as u64),
            DeviceState::Console(console) => facts.ports_map = Some(console.ports_map.clone()),
            DeviceState::Mem(mem) => facts.memory = mem.properties.or(early),
            _ => {}
        }
        facts
    }
}
