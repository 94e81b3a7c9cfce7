//! The control queue (virtio 1.3 §5.1.6.5): what the driver has the device change.

use super::feature;
use super::live::{ANNOUNCE, LiveNet};
use crate::core::Features;
use crate::device::Mac;
use crate::live::Negotiated;

/// Classes.
mod class {
    pub(super) const RX: u8 = 0;
    pub(super) const MAC: u8 = 1;
    pub(super) const VLAN: u8 = 2;
    pub(super) const ANNOUNCE: u8 = 3;
    pub(super) const MQ: u8 = 4;
    pub(super) const GUEST_OFFLOADS: u8 = 5;
}

/// Bytes of the longest command that is read: an address table with more entries than there is room for.
pub(super) const LONGEST: u64 = 8 + 6 * 1024;

impl LiveNet {
    /// Does what a command says, without its status; whether it could be done.
    pub(super) fn obey(&mut self, command: &[u8], negotiated: &Negotiated) -> bool {
        let &[class, number, ref data @ ..] = command else { return false };
        let needs = match (class, number) {
            (class::RX, 0 | 1) | (class::MAC, 0) => feature::CTRL_RX,
            (class::RX, _) => feature::CTRL_RX_EXTRA,
            (class::MAC, _) => feature::CTRL_MAC_ADDR,
            (class::VLAN, _) => feature::CTRL_VLAN,
            (class::ANNOUNCE, _) => feature::GUEST_ANNOUNCE,
            (class::MQ, _) => feature::MQ,
            (class::GUEST_OFFLOADS, _) => feature::CTRL_GUEST_OFFLOADS,
            _ => return false,
        };
        if !negotiated.features.has(needs) {
            return false;
        }
        match (class, number) {
            (class::RX, _) => self.set_mode(number, data),
            (class::MAC, 0) => self.state.set_mac_table(data, negotiated.endianness),
            (class::MAC, 1) => {
                let mac = <[u8; 6]>::try_from(data);
                mac.is_ok_and(|mac| {
                    self.state.mac = Mac(mac);
                    true
                })
            }
            (class::VLAN, 0 | 1) => <[u8; 2]>::try_from(data)
                .is_ok_and(|vlan| self.state.set_vlan(negotiated.endianness.u16(vlan), number == 0)),
            (class::ANNOUNCE, 0) => {
                self.state.status &= !ANNOUNCE;
                true
            }
            (class::MQ, 0) => <[u8; 2]>::try_from(data).is_ok_and(|pairs| {
                let pairs = negotiated.endianness.u16(pairs);
                let is_one = (1..=self.pairs()).contains(&pairs);
                if is_one {
                    self.current_pairs = pairs;
                }
                is_one
            }),
            (class::GUEST_OFFLOADS, 0) => <[u8; 8]>::try_from(data).is_ok_and(|offloads| {
                let offloads = negotiated.endianness.u64(offloads);
                let offered = negotiated.features & feature::GUEST_OFFLOADS;
                let is_offered = Features::from(offloads).without(offered) == Features(0);
                if is_offered {
                    self.offloads = offloads;
                }
                is_offered
            }),
            _ => false,
        }
    }

    fn set_mode(&mut self, number: u8, data: &[u8]) -> bool {
        let &[on] = data else { return false };
        let state = &mut self.state;
        let mode = match number {
            0 => &mut state.promisc,
            1 => &mut state.allmulti,
            2 => &mut state.alluni,
            3 => &mut state.nomulti,
            4 => &mut state.nouni,
            5 => &mut state.nobcast,
            _ => return false,
        };
        *mode = on != 0;
        true
    }
}
