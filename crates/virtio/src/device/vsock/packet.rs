//! Packets (virtio 1.3 §5.10.6): a header, and behind it the payload of those that carry data. Little-endian.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The host's context ID.
pub(super) const HOST_CID: u64 = 2;
/// The type of stream sockets (§5.10.6).
pub(super) const STREAM: u16 = 1;

/// What a packet says (§5.10.6).
pub(super) mod op {
    pub(in super::super) const REQUEST: u16 = 1;
    pub(in super::super) const RESPONSE: u16 = 2;
    pub(in super::super) const RST: u16 = 3;
    pub(in super::super) const SHUTDOWN: u16 = 4;
    pub(in super::super) const RW: u16 = 5;
    pub(in super::super) const CREDIT_UPDATE: u16 = 6;
    pub(in super::super) const CREDIT_REQUEST: u16 = 7;
}

/// What whoever shuts down does not do any more (§5.10.6.5).
pub(super) mod shutdown {
    pub(in super::super) const RECEIVE: u32 = 1;
    pub(in super::super) const SEND: u32 = 2;
    pub(in super::super) const BOTH: u32 = RECEIVE | SEND;
}

/// The header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) src_cid: U64,
    pub(super) dst_cid: U64,
    pub(super) src_port: U32,
    pub(super) dst_port: U32,
    /// Bytes of payload.
    pub(super) len: U32,
    /// The type of socket: [`STREAM`].
    pub(super) kind: U16,
    pub(super) op: U16,
    pub(super) flags: U32,
    /// Bytes that the sender has room for, and bytes that it has handed on (§5.10.6.3).
    pub(super) buf_alloc: U32,
    pub(super) fwd_cnt: U32,
}

/// Bytes of a header.
pub(super) const HEADER: usize = size_of::<Header>();

/// Both ends of a connection between the guest and its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ports {
    pub(super) host: u32,
    pub(super) guest: u32,
}

impl Header {
    /// A packet of a stream from the host to the guest that has this context ID.
    pub(super) fn to_guest(cid: u64, ports: Ports, op: u16) -> Self {
        Self {
            src_cid: HOST_CID.into(),
            dst_cid: cid.into(),
            src_port: ports.host.into(),
            dst_port: ports.guest.into(),
            len: 0.into(),
            kind: STREAM.into(),
            op: op.into(),
            flags: 0.into(),
            buf_alloc: 0.into(),
            fwd_cnt: 0.into(),
        }
    }

    /// The connection to which a packet of the guest's belongs.
    pub(super) fn ports(&self) -> Ports {
        Ports { host: self.dst_port.get(), guest: self.src_port.get() }
    }
}
