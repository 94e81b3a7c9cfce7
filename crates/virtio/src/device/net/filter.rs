//! Which frames a device hands to its driver: receive modes, the address table, and VLANs (virtio 1.3 §5.1.6.5).

use vmstate::types::Buffer;

use super::port::addresses;
use super::{MAC_TABLE_ENTRIES, Net};
use crate::core::Endianness;
use crate::device::Mac;

/// The protocol number of a VLAN tag (IEEE 802.1Q).
const TAGGED: [u8; 2] = [0x81, 0x00];
/// VLANs there can be.
const VLANS: u16 = 4096;

impl Net {
    /// The state of a device that was reset: promiscuous, as QEMU's is, until the driver says otherwise.
    pub(super) fn blank(mac: Mac) -> Self {
        Self {
            mac,
            tx_waiting: 0,
            mergeable_rx_bufs: 0,
            status: super::live::LINK_UP,
            promisc: true,
            allmulti: false,
            mac_table_in_use: 0,
            mac_table: Vec::new(),
            vlans: Buffer::default(),
            has_vnet_hdr: 0,
            multi_overflow: false,
            uni_overflow: false,
            alluni: false,
            nomulti: false,
            nouni: false,
            nobcast: false,
            has_ufo: false,
            max_queue_pairs: None,
            curr_queue_pairs: None,
            more_tx_waiting: Vec::new(),
            curr_guest_offloads: None,
            rss: None,
            backend: None,
        }
    }

    /// Whether the driver wants a frame.
    pub(super) fn accepts(&self, frame: &[u8]) -> bool {
        let Some((to, _)) = addresses(frame) else { return false };
        if self.promisc {
            return true;
        }
        if let Some(vlan) = vlan(frame)
            && !self.has_vlan(vlan)
        {
            return false;
        }
        let is_in_table = self.mac_table.contains(&to);
        if to == Mac::BROADCAST {
            !self.nobcast
        } else if to.is_multicast() {
            !self.nomulti && (self.allmulti || self.multi_overflow || is_in_table)
        } else {
            !self.nouni && (self.alluni || self.uni_overflow || to == self.mac || is_in_table)
        }
    }

    fn has_vlan(&self, vlan: u16) -> bool {
        self.vlans.get(usize::from(vlan / 8)).is_some_and(|byte| byte >> (vlan % 8) & 1 == 1)
    }

    /// Takes a VLAN into the filter, or out of it; whether there is such a VLAN. The words of the bitmap are those
    /// of a little-endian host, so that its bytes are in order.
    pub(super) fn set_vlan(&mut self, vlan: u16, on: bool) -> bool {
        let Some(byte) = self.vlans.get_mut(usize::from(vlan / 8)).filter(|_| vlan < VLANS) else {
            return false;
        };
        let bit = 1 << (vlan % 8);
        *byte = if on { *byte | bit } else { *byte & !bit };
        true
    }

    /// Takes a new address table: two lists, unicast and multicast, each after its length in 32 bits; whether it is
    /// one. A list that does not fit is replaced by taking all such addresses.
    pub(super) fn set_mac_table(&mut self, data: &[u8], endianness: Endianness) -> bool {
        let Some((unicast, rest)) = mac_list(data, endianness) else { return false };
        let Some((multicast, [])) = mac_list(rest, endianness) else { return false };
        let most = MAC_TABLE_ENTRIES as usize;
        let mut table = unicast;
        self.uni_overflow = table.len() > most;
        if self.uni_overflow {
            table.clear();
        }
        self.multi_overflow = table.len() + multicast.len() > most;
        if !self.multi_overflow {
            table.extend(multicast);
        }
        self.mac_table_in_use = u32::try_from(table.len()).unwrap_or_default();
        self.mac_table = table;
        true
    }
}

fn mac_list(data: &[u8], endianness: Endianness) -> Option<(Vec<Mac>, &[u8])> {
    let (count, rest) = data.split_first_chunk()?;
    let bytes = usize::try_from(endianness.u32(*count)).ok()?.checked_mul(6)?;
    let (list, rest) = rest.split_at_checked(bytes)?;
    Some((list.chunks_exact(6).filter_map(|mac| Some(Mac(*mac.first_chunk()?))).collect(), rest))
}

fn vlan(frame: &[u8]) -> Option<u16> {
    let tag = frame.get(12..)?.strip_prefix(&TAGGED)?;
    Some(u16::from_be_bytes(*tag.first_chunk()?) & (VLANS - 1))
}
