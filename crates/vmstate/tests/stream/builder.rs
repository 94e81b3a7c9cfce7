//! Makes streams, byte by byte; of the crate under test it uses nothing but the scan.

use serde_json::{Value, json};
use vmstate::stream::{Scan, Stream};

pub(crate) const PAGE: u64 = 4096;
pub(crate) const ZERO: u64 = 0x02;
pub(crate) const MEM_SIZE: u64 = 0x04;
pub(crate) const PAGE_FLAG: u64 = 0x08;
pub(crate) const EOS: u64 = 0x10;
pub(crate) const CONTINUE: u64 = 0x20;
pub(crate) const XBZRLE: u64 = 0x40;

/// The id of the RAM section.
pub(crate) const RAM_ID: u32 = 2;

/// A stream in the making.
#[derive(Clone)]
pub(crate) struct Builder {
    pub(crate) bytes: Vec<u8>,
    devices: Vec<Value>,
    footers: bool,
}

impl Builder {
    /// A stream that begins as QEMU's do.
    pub(crate) fn new() -> Self {
        Self::bare().configuration("pc-q35-10.0", &[])
    }

    /// A stream without a configuration.
    pub(crate) fn bare() -> Self {
        Self { bytes: b"QEVM\0\0\0\x03".to_vec(), devices: Vec::new(), footers: true }
    }

    pub(crate) fn without_footers(mut self) -> Self {
        self.footers = false;
        self
    }

    /// A configuration, with subsections as they are on the wire.
    pub(crate) fn configuration(self, machine: &str, subsections: &[u8]) -> Self {
        self.u8(7).u32(machine.len()).raw(machine.as_bytes()).raw(subsections)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    pub(crate) fn u32(self, value: usize) -> Self {
        self.raw(&u32::try_from(value).unwrap().to_be_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn name(self, name: &str) -> Self {
        self.u8(u8::try_from(name.len()).unwrap()).raw(name.as_bytes())
    }

    fn header(self, marker: u8, id: u32, name: &str, instance: usize, version: usize) -> Self {
        self.u8(marker).raw(&id.to_be_bytes()).name(name).u32(instance).u32(version)
    }

    fn footer(self, id: u32) -> Self {
        if self.footers { self.u8(0x7e).raw(&id.to_be_bytes()) } else { self }
    }

    /// A whole section that the description does not list.
    pub(crate) fn hidden(self, id: u32, name: &str, instance: usize, body: &[u8]) -> Self {
        self.header(4, id, name, instance, 1).raw(body).footer(id)
    }

    /// A whole section, described as having `described` bytes.
    pub(crate) fn described(
        mut self,
        id: u32,
        name: &str,
        instance: usize,
        body: &[u8],
        described: usize,
    ) -> Self {
        self.devices.push(json!({
            "name": name, "instance_id": instance, "vmsd_name": name, "version": 1,
            "fields": [{"name": "data", "type": "buffer", "size": described}],
        }));
        self.hidden(id, name, instance, body)
    }

    /// A whole section.
    pub(crate) fn device(self, id: u32, name: &str, body: &[u8]) -> Self {
        self.described(id, name, 0, body, body.len())
    }

    /// The first part of something.
    pub(crate) fn start(self, id: u32, name: &str, version: usize, body: &[u8]) -> Self {
        self.header(1, id, name, 0, version).raw(body).footer(id)
    }

    /// A further part of something: marker 2 or 3.
    pub(crate) fn more(self, marker: u8, id: u32, body: &[u8]) -> Self {
        self.u8(marker).raw(&id.to_be_bytes()).raw(body).footer(id)
    }

    /// The section that begins RAM, with blocks of so many pages.
    pub(crate) fn ram_start(self, blocks: &[(&str, u64)]) -> Self {
        let list = Records::new().block_list(blocks).eos();
        self.start(RAM_ID, "ram", 4, &list.0)
    }

    /// The section that ends RAM.
    pub(crate) fn ram_end(self, records: Records) -> Self {
        self.more(3, RAM_ID, &records.eos().0)
    }

    pub(crate) fn command(self, number: u16, payload: &[u8]) -> Self {
        let length = u16::try_from(payload.len()).unwrap();
        self.u8(8).raw(&number.to_be_bytes()).raw(&length.to_be_bytes()).raw(payload)
    }

    /// The end, with a description of what was added.
    pub(crate) fn finish(self) -> Vec<u8> {
        let description = json!({"page_size": PAGE, "devices": self.devices});
        self.finish_with(&description.to_string())
    }

    pub(crate) fn finish_with(self, json: &str) -> Vec<u8> {
        self.u8(0).u8(6).u32(json.len()).raw(json.as_bytes()).bytes
    }

    /// The end, without a description.
    pub(crate) fn finish_bare(self) -> Vec<u8> {
        self.u8(0).bytes
    }
}

/// Records of a RAM section.
#[derive(Clone, Default)]
pub(crate) struct Records(pub(crate) Vec<u8>);

impl Records {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// The head of a record about a page; without a block, that of the record before.
    pub(crate) fn head(self, block: Option<&str>, page: u64, flag: u64) -> Self {
        match block {
            None => self.u64((page * PAGE) | flag | CONTINUE),
            Some(name) => {
                let length = u8::try_from(name.len()).unwrap();
                self.u64((page * PAGE) | flag).raw(&[length]).raw(name.as_bytes())
            }
        }
    }

    pub(crate) fn block_list(self, blocks: &[(&str, u64)]) -> Self {
        let total: u64 = blocks.iter().map(|(_, pages)| pages * PAGE).sum();
        blocks.iter().fold(self.u64(total | MEM_SIZE), |list, (name, pages)| {
            let length = u8::try_from(name.len()).unwrap();
            list.raw(&[length]).raw(name.as_bytes()).u64(pages * PAGE)
        })
    }

    /// A page filled with one byte.
    pub(crate) fn page(self, block: Option<&str>, page: u64, fill: u8) -> Self {
        let bytes = vec![fill; usize::try_from(PAGE).unwrap()];
        self.head(block, page, PAGE_FLAG).raw(&bytes)
    }

    pub(crate) fn zero(self, block: Option<&str>, page: u64) -> Self {
        self.head(block, page, ZERO).raw(&[0])
    }

    pub(crate) fn xbzrle(self, block: Option<&str>, page: u64, changes: &[u8]) -> Self {
        let length = u16::try_from(changes.len()).unwrap();
        self.head(block, page, XBZRLE).raw(&[1]).raw(&length.to_be_bytes()).raw(changes)
    }

    pub(crate) fn eos(self) -> Self {
        self.u64(EOS)
    }
}

pub(crate) fn scan(bytes: &[u8]) -> Scan {
    Stream::scan(&bytes, &mut |_| ())
}

/// Scans what must be all right.
pub(crate) fn scan_whole(bytes: &[u8]) -> Stream {
    let Scan { stream, stopped } = scan(bytes);
    assert!(stopped.is_none(), "{}", stopped.unwrap());
    assert!(stream.is_complete());
    stream
}

/// Scans what must not be, and says why.
pub(crate) fn stopped(bytes: &[u8]) -> String {
    scan(bytes).stopped.expect("the scan stops").to_string()
}

/// A small stream with something of everything.
pub(crate) fn sample() -> Vec<u8> {
    let records = Records::new()
        .page(Some("pc.ram"), 0, 0xaa)
        .zero(None, 1)
        .page(None, 1, 0x55)
        .xbzrle(None, 1, &[2, 3, 1, 2, 3])
        .zero(Some("pc.bios"), 0);
    Builder::new()
        .ram_start(&[("pc.ram", 3), ("pc.bios", 1)])
        .start(3, "dirty-bitmap", 1, b"\x10")
        .more(2, RAM_ID, &records.eos().0)
        .more(3, 3, b"\x01")
        .command(11, b"")
        .ram_end(Records::new())
        .device(9, "timer", b"0123456789")
        .hidden(10, "unlisted", 0, b"\x7e\x00\x00\x00\x0b")
        .device(11, "0000:00:03.0/virtio-net", &[7; 300])
        .finish()
}
