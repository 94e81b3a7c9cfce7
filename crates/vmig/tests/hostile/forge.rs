//! Forgeries: a recorded stream in which exactly one thing is not as QEMU wrote it, and small ones made by hand.

use std::io::Write;

use serde_json::json;
use virtio::VirtioState;
use virtio::companion::Companion;
use virtio::core::Endianness;
use virtio::guest::{Content, Guest};
use virtio::section::save_section;
use vmstate::Writer;
use vmstate::ram::{Block, Encoder, PageAddress};
use vmstate::stream::{Command, Configuration, Head, Kind, Section, Stream, footer, save_start};

use crate::common::project;

/// Bytes of a page of the machines here.
pub(crate) const PAGE: u64 = 4096;
/// The block of the streams made by hand, of four pages.
pub(crate) const BLOCK: &str = "pc.ram";
const MACHINE: &str = "pc-q35-10.0";

/// A recorded stream.
pub(crate) struct Recorded {
    bytes: Vec<u8>,
    stream: Stream,
    guest: Guest,
}

impl Recorded {
    /// The fixture of this name.
    pub(crate) fn named(name: &str) -> Self {
        let path = project().join(format!("fixtures/{name}.mig.zst"));
        let image = image::open(path.to_str().unwrap(), &mut |_| ()).unwrap();
        let mut bytes = vec![0; usize::try_from(image.source.len()).unwrap()];
        image.source.read_exact_at(0, &mut bytes).unwrap();
        let stream = Stream::scan(&bytes, &mut |_| ()).stream;
        let guest = Guest::decode(&stream, &bytes);
        Self { bytes, stream, guest }
    }

    fn section(&self, name: &str) -> (&Section, &Content) {
        let section = self.stream.section(name, 0).unwrap();
        (section, self.guest.content(section).unwrap().as_ref().unwrap())
    }

    /// Changes the state of a device: state is plain, and is written whatever it says.
    pub(crate) fn device(&self, name: &str, change: impl FnOnce(&mut VirtioState)) -> Vec<u8> {
        let (section, body) = self.saved(name, change);
        self.with(section, body)
    }

    /// Puts another number in the place of a count, of which typed state knows only true ones: `change` changes what
    /// is counted, and so shows where the count is.
    pub(crate) fn count(
        &self,
        name: &str,
        order: Endianness,
        change: impl FnOnce(&mut VirtioState),
        count: u32,
    ) -> Vec<u8> {
        let (section, changed) = self.saved(name, change);
        let mut body = section.body().unwrap().to_vec();
        // Counts are small: the byte that changes is the low one.
        let low = body.iter().zip(&changed).position(|(a, b)| a != b).unwrap();
        let start = if order == Endianness::Big { low - 3 } else { low };
        body[start..start + 4].copy_from_slice(&order.u32_bytes(count));
        self.with(section, body)
    }

    /// Changes state that belongs to a device.
    pub(crate) fn companion(&self, name: &str, change: impl FnOnce(&mut Companion)) -> Vec<u8> {
        let (section, content) = self.section(name);
        let Content::Companion(companion) = content else { panic!("{name} is no companion") };
        let mut state = companion.state.clone();
        change(&mut state);
        let mut out = Writer::new();
        state.save(&mut out);
        self.with(section, out.into_bytes())
    }

    fn saved(&self, name: &str, change: impl FnOnce(&mut VirtioState)) -> (&Section, Vec<u8>) {
        let (section, content) = self.section(name);
        let Content::Device(device) = content else { panic!("{name} is no device") };
        let mut state = device.loaded.as_ref().unwrap().state.clone();
        change(&mut state);
        let mut out = Writer::new();
        save_section(&state, &mut out);
        (section, out.into_bytes())
    }

    fn with(&self, section: &Section, body: Vec<u8>) -> Vec<u8> {
        let mut body = Some(body);
        let mut replace = |it: &Section| if it.offset == section.offset { body.take() } else { None };
        let mut out = Vec::new();
        self.stream.write(&self.bytes, &mut replace, &mut out).unwrap();
        out
    }
}

/// A stream made by hand, with vmstate's own writers.
pub(crate) struct Made {
    pub(crate) out: Writer,
    pub(crate) encoder: Encoder,
}

impl Made {
    /// With a block of four pages.
    pub(crate) fn new() -> Self {
        Self::with_blocks(&[Block::new(BLOCK, 4 * PAGE)])
    }

    pub(crate) fn with_blocks(blocks: &[Block]) -> Self {
        let len = u32::try_from(MACHINE.len()).unwrap();
        let mut configuration = Configuration { len, name: MACHINE.into(), ..Configuration::default() };
        configuration.set_capability("mapped-ram", blocks.iter().any(|block| block.mapped.is_some()));
        let mut made = Self { out: Writer::new(), encoder: Encoder::new(blocks) };
        save_start(Some(&configuration), &mut made.out);
        made.start(Kind::Start, 2, "ram", 4);
        Encoder::block_list(blocks, &mut made.out);
        Encoder::end_of_section(&mut made.out);
        made.end(2)
    }

    fn start(&mut self, kind: Kind, id: u32, name: &str, version: u32) {
        Head::Section { kind, id, name: name.to_owned(), instance: 0, version }.save(&mut self.out);
    }

    fn end(mut self, id: u32) -> Self {
        self.out.bytes(&footer(id));
        self
    }

    /// A part of RAM, with these records.
    pub(crate) fn ram(mut self, records: impl FnOnce(&mut Encoder, &mut Writer)) -> Self {
        Head::More { kind: Kind::End, id: 2 }.save(&mut self.out);
        records(&mut self.encoder, &mut self.out);
        Encoder::end_of_section(&mut self.out);
        self.end(2)
    }

    pub(crate) fn section(mut self, id: u32, name: &str, body: &[u8]) -> Self {
        self.start(Kind::Full, id, name, 1);
        self.out.bytes(body);
        self.end(id)
    }

    pub(crate) fn command(mut self, command: Command) -> Self {
        Head::Command(command).save(&mut self.out);
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.out.bytes(bytes);
        self
    }

    /// The end, with a description of these sections' fields.
    pub(crate) fn described(self, devices: &serde_json::Value) -> Vec<u8> {
        self.finish(&json!({"page_size": PAGE, "devices": devices}).to_string())
    }

    /// The end, with this for a description.
    pub(crate) fn finish(mut self, json: &str) -> Vec<u8> {
        Head::Eof.save(&mut self.out);
        self.out.u8(6);
        self.out.u32(u32::try_from(json.len()).unwrap());
        self.out.bytes(json.as_bytes());
        self.out.into_bytes()
    }
}

/// The page with this number of the first block.
pub(crate) fn page(number: u64) -> PageAddress {
    PageAddress { block: 0, offset: number * PAGE }
}

/// As gzip makes of it.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
