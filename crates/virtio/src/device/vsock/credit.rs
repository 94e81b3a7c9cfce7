//! How much either end of a connection may send (virtio 1.3 §5.10.6.3). Counters are free-running, 32 bits.

use super::packet::Header;

/// Bytes that the device keeps for a connection until its other end takes them.
pub(super) const BUF_ALLOC: u32 = 64 << 10;
/// Bytes handed on of which the driver is told without asking: long before it runs out of room.
const UPDATE: u32 = BUF_ALLOC / 4;

/// The account of a connection.
#[derive(Debug, Default)]
pub(super) struct Credit {
    /// Bytes of the guest's that were handed on.
    fwd_cnt: u32,
    /// What the driver was last told of them.
    told: u32,
    /// Bytes that were sent to the guest.
    tx_cnt: u32,
    /// What the driver says: its room, and what it has handed on.
    peer_buf_alloc: u32,
    peer_fwd_cnt: u32,
    /// Whether the driver was asked for room, and has not given any.
    is_asked: bool,
}

impl Credit {
    /// Every packet says how much room its sender has.
    pub(super) fn heard(&mut self, packet: &Header) {
        (self.peer_buf_alloc, self.peer_fwd_cnt) = (packet.buf_alloc.get(), packet.fwd_cnt.get());
        self.is_asked &= self.room() == 0;
    }

    /// Says in a packet how much room there is here.
    pub(super) fn tell(&mut self, packet: &mut Header) {
        self.told = self.fwd_cnt;
        (packet.buf_alloc, packet.fwd_cnt) = (BUF_ALLOC.into(), self.fwd_cnt.into());
    }

    /// Bytes that the guest has room for; none if what its driver says makes no sense.
    pub(super) fn room(&self) -> u32 {
        self.peer_buf_alloc.saturating_sub(self.tx_cnt.wrapping_sub(self.peer_fwd_cnt))
    }

    /// So many bytes go to the guest.
    pub(super) fn sent(&mut self, bytes: u32) {
        self.tx_cnt = self.tx_cnt.wrapping_add(bytes);
    }

    /// So many bytes of the guest's were handed on.
    pub(super) fn handed_on(&mut self, bytes: u32) {
        self.fwd_cnt = self.fwd_cnt.wrapping_add(bytes);
    }

    /// Whether the driver should learn how much was handed on.
    pub(super) fn owes_update(&self) -> bool {
        self.fwd_cnt.wrapping_sub(self.told) >= UPDATE
    }

    /// Whether the driver is to be asked for room: once, until it gives some.
    pub(super) fn must_ask(&mut self) -> bool {
        self.room() == 0 && !std::mem::replace(&mut self.is_asked, true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Ports, op};
    use super::*;

    fn says(buf_alloc: u32, fwd_cnt: u32) -> Header {
        let header = Header::to_guest(3, Ports::default(), op::CREDIT_UPDATE);
        Header { buf_alloc: buf_alloc.into(), fwd_cnt: fwd_cnt.into(), ..header }
    }

    #[test]
    fn counters_wrap() {
        let mut credit = Credit { tx_cnt: u32::MAX - 1, ..Credit::default() };
        credit.heard(&says(100, u32::MAX - 11));
        assert_eq!(credit.room(), 90);
        credit.sent(90);
        assert!(credit.must_ask() && !credit.must_ask());
        credit.heard(&says(100, 88));
        assert_eq!((credit.room(), credit.must_ask()), (100, false));
    }

    #[test]
    fn nonsense_is_no_room() {
        let mut credit = Credit::default();
        credit.heard(&says(100, 1));
        assert_eq!(credit.room(), 0, "more was handed on than was sent");
        credit.heard(&says(100, 0));
        credit.sent(60);
        credit.heard(&says(50, 0));
        assert_eq!(credit.room(), 0, "the room became less than what is on its way");
    }

    #[test]
    fn the_driver_is_told_in_time() {
        let mut credit = Credit { fwd_cnt: u32::MAX, told: u32::MAX, ..Credit::default() };
        credit.handed_on(UPDATE - 1);
        assert!(!credit.owes_update());
        credit.handed_on(1);
        assert!(credit.owes_update());
        let mut packet = says(0, 0);
        credit.tell(&mut packet);
        assert_eq!((packet.fwd_cnt.get(), credit.owes_update()), (UPDATE - 1, false));
    }
}
