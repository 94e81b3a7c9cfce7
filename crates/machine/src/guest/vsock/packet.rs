//! Packets of sockets (virtio 1.3 §5.10.6), little-endian.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The host's context ID.
const HOST: u64 = 2;
/// The type of stream sockets.
const STREAM: u16 = 1;

/// What a packet says.
pub(super) mod op {
    pub(in super::super) const REQUEST: u16 = 1;
    pub(in super::super) const RESPONSE: u16 = 2;
    pub(in super::super) const RST: u16 = 3;
    pub(in super::super) const SHUTDOWN: u16 = 4;
    pub(in super::super) const RW: u16 = 5;
    pub(in super::super) const CREDIT_UPDATE: u16 = 6;
    pub(in super::super) const CREDIT_REQUEST: u16 = 7;
}

/// The header of a packet; where there are two of something, the sender's comes first.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    cids: [U64; 2],
    ports: [U32; 2],
    length: U32,
    kind: U16,
    pub(super) op: U16,
    flags: U32,
    /// Bytes that the sender has room for, and bytes that it has taken out (§5.10.6.3).
    pub(super) buf_alloc: U32,
    pub(super) fwd_cnt: U32,
}

/// Bytes of a header.
pub(super) const HEADER: u32 = 44;
const _: () = assert!(size_of::<Header>() == HEADER as usize);

impl Header {
    /// A packet to the host.
    pub(super) fn to_host(cid: u64, ports: [u32; 2], op: u16, length: u32) -> Self {
        Self {
            cids: [cid, HOST].map(U64::new),
            ports: ports.map(U32::new),
            length: length.into(),
            kind: STREAM.into(),
            op: op.into(),
            flags: 0.into(),
            buf_alloc: 0.into(),
            fwd_cnt: 0.into(),
        }
    }

    /// The same, with how much room its sender has.
    pub(super) fn with_credit(self, buf_alloc: u32, fwd_cnt: u32) -> Self {
        Self { buf_alloc: buf_alloc.into(), fwd_cnt: fwd_cnt.into(), ..self }
    }

    /// Both ports, the sender's first.
    pub(super) fn ports(&self) -> [u32; 2] {
        self.ports.map(U32::get)
    }

    /// A packet of the host's to the guest with this context ID, and its payload; nothing if it is none.
    pub(super) fn to_guest(cid: u64, packet: &[u8]) -> Option<(Self, &[u8])> {
        let (header, payload) = Self::read_from_prefix(packet).ok()?;
        let is_mine = header.cids.map(U64::get) == [HOST, cid] && header.kind == STREAM;
        let is_whole = usize::try_from(header.length.get()) == Ok(payload.len());
        (is_mine && is_whole).then_some((header, payload))
    }
}
