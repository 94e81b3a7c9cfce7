//! Network device (virtio 1.3 §5.1): section `virtio-net`, data `virtio-net-device`, version 11.

mod control;
mod filter;
mod frames;
mod live;
pub mod port;

pub use live::{LiveNet, NetOptions};

use serde::{Deserialize, Serialize};
use vmstate::types::Buffer;
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::backend::BackendState;
use super::mac::Mac;
use super::{Data, Device, DeviceType, Known};
use crate::core::{BeforeSubsections, Feature};
use crate::finding::{Findings, Severity};
use crate::shape::Switch;

/// Entries of the MAC filter table (QEMU: `MAC_TABLE_ENTRIES`). More are skipped, and the table emptied.
const MAC_TABLE_ENTRIES: u32 = 64;
/// Entries of the RSS indirection table.
const RSS_MAX_TABLE: u16 = 128;

/// State of a network device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-net-device", version = 11, context = BeforeSubsections)]
pub struct Net {
    /// The device's MAC address.
    pub mac: Mac,
    /// Whether the first transmit queue has a transmission waiting.
    pub tx_waiting: u32,
    /// Whether the driver takes mergeable receive buffers.
    pub mergeable_rx_bufs: u32,
    /// Link status: bit 0 the link is up, bit 1 an announcement is due.
    pub status: u16,
    /// Receive all packets.
    pub promisc: bool,
    /// Receive all multicast packets.
    pub allmulti: bool,
    /// Addresses in the filter table.
    #[vmstate(rename = "mac_table.in_use")]
    pub mac_table_in_use: u32,
    /// The filter table: unicast, then multicast addresses.
    #[vmstate(rename = "mac_table.macs", count = mac_table_in_use)]
    pub mac_table: Vec<Mac>,
    /// A bit for each of the 4,096 VLANs, in 32-bit words of the host's byte order.
    pub vlans: Buffer<512>,
    /// Whether packets have a virtio-net header towards the network.
    pub has_vnet_hdr: u32,
    /// The filter table could not hold all multicast addresses.
    #[vmstate(rename = "mac_table.multi_overflow")]
    pub multi_overflow: bool,
    /// The filter table could not hold all unicast addresses.
    #[vmstate(rename = "mac_table.uni_overflow")]
    pub uni_overflow: bool,
    /// Receive all unicast packets.
    pub alluni: bool,
    /// Receive no multicast packets.
    pub nomulti: bool,
    /// Receive no unicast packets.
    pub nouni: bool,
    /// Receive no broadcast packets.
    pub nobcast: bool,
    /// Whether the network side takes UDP fragmentation offload.
    pub has_ufo: bool,
    /// Queue pairs the device has, if more than one.
    #[vmstate(when = cx.shape.switches.has(Switch::Multiqueue))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queue_pairs: Option<u16>,
    /// Queue pairs in use.
    #[vmstate(when = max_queue_pairs.is_some())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curr_queue_pairs: Option<u16>,
    /// `tx_waiting` of the second transmit queue and the others in use.
    #[vmstate(rename = "vqs.tx_waiting", count = curr_queue_pairs.map_or(0, |pairs: u16| u32::from(pairs.saturating_sub(1))))]
    pub more_tx_waiting: Vec<u32>,
    /// Offloads the driver has on, if it can change them.
    #[vmstate(when = cx.has::<2>())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curr_guest_offloads: Option<u64>,
    /// Receive-side scaling, if it is on.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss: Option<Rss>,
    /// State of a vhost-user back-end, if that carries its own.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<NetBackend>,
}

impl Device for Net {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-net",
        version: 11,
        minimum_version: 11,
        id: 1,
        title: "network device",
        features: FEATURES,
        queue_name: |index, count| match index {
            // The control queue is the last, and there is one where the number is odd.
            _ if count % 2 == 1 && index + 1 == count => "controlq".to_owned(),
            _ if index % 2 == 0 => format!("receiveq{}", index / 2 + 1),
            _ => format!("transmitq{}", index / 2 + 1),
        },
        switches: &[Switch::Multiqueue],
        data: Data::Within(Self::DESCRIPTION),
        unmigratable: None,
    };

    fn load_device(cx: &BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
        Self::load_body(input, Self::TYPE.version, cx)
    }

    fn save_device(&self, out: &mut Writer) {
        self.save_body(out);
    }

    fn post_load(&mut self, _: &Known<'_>, findings: &mut Findings) {
        if self.mac_table_in_use > MAC_TABLE_ENTRIES {
            let message = format!(
                "mac_table.in_use is {}, at most {MAC_TABLE_ENTRIES}: the destination starts with an empty table",
                self.mac_table_in_use
            );
            findings.add_device(410, Severity::Warning, message);
        }
        if let (Some(curr), Some(max)) = (self.curr_queue_pairs, self.max_queue_pairs)
            && curr > max
        {
            let message = format!("curr_queue_pairs is {curr}, at most {max} (max_queue_pairs)");
            findings.add_device(411, Severity::FailsLoad, message);
        }
        if let Some(rss) = &self.rss {
            let length = rss.indirections_len;
            if length > RSS_MAX_TABLE || !length.is_power_of_two() {
                let message =
                    format!("rss.indirections_len is {length}, expected a power of 2 up to {RSS_MAX_TABLE}");
                findings.add_device(412, Severity::FailsLoad, message);
            }
        }
    }
}

/// `virtio-net-device/rss`: receive-side scaling (§5.1.6.5.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-net-device/rss")]
pub struct Rss {
    /// Whether it is on.
    pub enabled: bool,
    /// Whether packets are spread over queues.
    pub redirect: bool,
    /// Whether packets carry their hash.
    pub populate_hash: bool,
    /// Kinds of packets that are hashed.
    pub hash_types: u32,
    /// Entries of the indirection table.
    pub indirections_len: u16,
    /// Queue of packets that are not hashed.
    pub default_queue: u16,
    /// Key of the Toeplitz hash.
    pub key: Buffer<40>,
    /// The indirection table.
    #[vmstate(count = indirections_len)]
    pub indirections_table: Vec<u16>,
}

/// `virtio-net-device/backend`: state of a vhost-user back-end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-net-device/backend", version = 0)]
pub struct NetBackend {
    /// What the back-end wrote.
    pub backend: BackendState,
}

/// Features that the running device knows (§5.1.3).
mod feature {
    use crate::core::Features;

    pub(super) const CSUM: u8 = 0;
    pub(super) const GUEST_CSUM: u8 = 1;
    pub(super) const CTRL_GUEST_OFFLOADS: u8 = 2;
    pub(super) const MAC: u8 = 5;
    pub(super) const MRG_RXBUF: u8 = 15;
    pub(super) const STATUS: u8 = 16;
    pub(super) const CTRL_VQ: u8 = 17;
    pub(super) const CTRL_RX: u8 = 18;
    pub(super) const CTRL_VLAN: u8 = 19;
    pub(super) const CTRL_RX_EXTRA: u8 = 20;
    pub(super) const GUEST_ANNOUNCE: u8 = 21;
    pub(super) const MQ: u8 = 22;
    pub(super) const CTRL_MAC_ADDR: u8 = 23;
    /// Those that the driver can switch while the device runs.
    pub(super) const GUEST_OFFLOADS: Features = Features(1 << GUEST_CSUM);
}

/// Feature bits (§5.1.3).
const FEATURES: &[Feature] = &[
    (feature::CSUM, "CSUM"),
    (feature::GUEST_CSUM, "GUEST_CSUM"),
    (feature::CTRL_GUEST_OFFLOADS, "CTRL_GUEST_OFFLOADS"),
    (3, "MTU"),
    (feature::MAC, "MAC"),
    (6, "GSO"),
    (7, "GUEST_TSO4"),
    (8, "GUEST_TSO6"),
    (9, "GUEST_ECN"),
    (10, "GUEST_UFO"),
    (11, "HOST_TSO4"),
    (12, "HOST_TSO6"),
    (13, "HOST_ECN"),
    (14, "HOST_UFO"),
    (feature::MRG_RXBUF, "MRG_RXBUF"),
    (feature::STATUS, "STATUS"),
    (feature::CTRL_VQ, "CTRL_VQ"),
    (feature::CTRL_RX, "CTRL_RX"),
    (feature::CTRL_VLAN, "CTRL_VLAN"),
    (feature::CTRL_RX_EXTRA, "CTRL_RX_EXTRA"),
    (feature::GUEST_ANNOUNCE, "GUEST_ANNOUNCE"),
    (feature::MQ, "MQ"),
    (feature::CTRL_MAC_ADDR, "CTRL_MAC_ADDR"),
    (50, "DEVICE_STATS"),
    (51, "HASH_TUNNEL"),
    (52, "VQ_NOTF_COAL"),
    (53, "NOTF_COAL"),
    (54, "GUEST_USO4"),
    (55, "GUEST_USO6"),
    (56, "HOST_USO"),
    (57, "HASH_REPORT"),
    (59, "GUEST_HDRLEN"),
    (60, "RSS"),
    (61, "RSC_EXT"),
    (62, "STANDBY"),
    (63, "SPEED_DUPLEX"),
    (65, "GUEST_UDP_TUNNEL_GSO"),
    (66, "GUEST_UDP_TUNNEL_GSO_CSUM"),
    (67, "HOST_UDP_TUNNEL_GSO"),
    (68, "HOST_UDP_TUNNEL_GSO_CSUM"),
];
