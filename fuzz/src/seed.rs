//! Inputs that are right, to begin with: out of recorded streams, and as vmig writes them.

use std::path::{Path, PathBuf};

use migration::multifd::{Initial, Packet};
use migration::return_path::Message;
use virtio::companion::COMPANIONS;
use virtio::core::Endianness;
use virtio::device::DEVICES;
use virtio::section::{SectionName, default_endianness};
use virtio::transport::TransportKind;
use vmstate::ram::{Block, Encoder, PageAddress};
use vmstate::source::Source;
use vmstate::stream::{Head, Kind, Stream, footer, save_start};
use vmstate::{Writer, vmdesc};

use crate::devices::KINDS;

/// Streams with all transports and most devices.
const STREAMS: [&str; 7] = [
    "x86-q35-kitchen-q10.0",
    "x86-q35-serial-blocked-q10.0",
    "x86-q35-blk-ioerr-q10.0",
    "x86-q35-scsi-ioerr-q10.0",
    "x86-microvm-mmio-legacy-q10.0",
    "arm64-virt-mmio-q10.0",
    "s390x-ccw-q10.0",
];

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(path)
}

/// Each stream, and its bytes.
fn recorded() -> impl Iterator<Item = (Vec<u8>, Stream)> {
    STREAMS.iter().map(|name| {
        let path = fixture(&format!("{name}.mig.zst"));
        let image = image::open(path.to_str().unwrap(), &mut |_| ()).unwrap();
        let mut bytes = vec![0; image.source.len() as usize];
        image.source.read_exact_at(0, &mut bytes).unwrap();
        let stream = Stream::scan(&bytes, &mut |_| ()).stream;
        (bytes, stream)
    })
}

/// Streams with a little RAM, and of the other sections those that are short.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let short = |(bytes, stream): (Vec<u8>, Stream)| {
        let mut out = Writer::new();
        save_start(stream.configuration.as_ref(), &mut out);
        let blocks = [Block::new("pc.ram", 0x8000)];
        let name = "ram".to_owned();
        Head::Section { kind: Kind::Start, id: 2, name, instance: 0, version: 4 }.save(&mut out);
        Encoder::block_list(&blocks, &mut out);
        Encoder::end_of_section(&mut out);
        out.bytes(&footer(2));
        Head::More { kind: Kind::End, id: 2 }.save(&mut out);
        Encoder::new(&blocks).zero(PageAddress { block: 0, offset: 0x1000 }, &mut out);
        Encoder::end_of_section(&mut out);
        out.bytes(&footer(2));
        for section in
            stream.sections().filter(|section| section.body().is_some_and(|body| body.len() < 4096))
        {
            let mut written = Vec::new();
            section.write(&bytes, &mut written).unwrap();
            out.bytes(&written);
        }
        Head::Eof.save(&mut out);
        out.into_bytes()
    };
    recorded().map(short).collect()
}

pub(crate) fn ram() -> Vec<Vec<u8>> {
    let blocks = [Block::new("pc.ram", 0x8000), Block::new("vga", 0x1000)];
    let mut encoder = Encoder::new(&blocks);
    let mut out = Writer::new();
    out.u8(0);
    Encoder::block_list(&blocks, &mut out);
    encoder.zero(PageAddress { block: 0, offset: 0x1000 }, &mut out);
    encoder.zero(PageAddress { block: 1, offset: 0 }, &mut out);
    encoder.xbzrle(PageAddress { block: 1, offset: 0 }, 3, &mut out);
    out.bytes(&[4, 1, 9]);
    Encoder::multifd_flush(&mut out);
    Encoder::end_of_section(&mut out);
    vec![out.into_bytes()]
}

/// Descriptions of a device each, with the body of its section.
fn described() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    recorded().flat_map(|(_, stream)| {
        let devices = stream.description.as_ref().map(|description| description.desc.devices.clone());
        let short = |device: vmdesc::DeviceDesc| {
            let section = stream.section(&device.name, device.instance_id)?;
            let body = section.body().filter(|body| body.len() < 512)?.to_vec();
            let json = serde_json::json!({"page_size": 4096, "devices": [device]}).to_string().into_bytes();
            (json.len() < 4096).then_some((json, body))
        };
        devices.unwrap_or_default().into_iter().filter_map(short).take(6).collect::<Vec<_>>()
    })
}

pub(crate) fn descriptions() -> Vec<Vec<u8>> {
    described().map(|(json, _)| json).collect()
}

pub(crate) fn values() -> Vec<Vec<u8>> {
    described().map(|(json, body)| [&json[..], &[0], &body].concat()).collect()
}

pub(crate) fn pci() -> Vec<Vec<u8>> {
    sections(TransportKind::Pci)
}

pub(crate) fn mmio() -> Vec<Vec<u8>> {
    sections(TransportKind::Mmio)
}

pub(crate) fn ccw() -> Vec<Vec<u8>> {
    sections(TransportKind::Ccw)
}

/// Sections of devices, as `target::section` takes them.
fn sections(transport: TransportKind) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (_, stream) in recorded() {
        let machine = stream.configuration.as_ref().map(vmstate::stream::Configuration::machine);
        let is_big = machine.is_some_and(|machine| default_endianness(&machine) == Endianness::Big);
        for section in stream.sections() {
            let (Some(name), Some(body)) = (SectionName::parse(&section.name), section.body()) else {
                continue;
            };
            let number = DEVICES.iter().position(|kind| kind.section == name.device.section).unwrap();
            if name.transport == transport {
                all.push([&[number as u8, is_big.into()], body].concat());
            }
        }
    }
    all
}

pub(crate) fn companions() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (_, stream) in recorded() {
        for section in stream.sections() {
            let Some(kind) = virtio::companion::Companion::of_section(&section.name) else { continue };
            let number = COMPANIONS.iter().position(|other| other.section == kind.section).unwrap();
            all.extend(section.body().map(|body| [&[number as u8], body].concat()));
        }
    }
    all
}

/// The beginnings of images with streams in them, and packed streams.
pub(crate) fn containers() -> Vec<Vec<u8>> {
    let paths = ["containers/microvm-q10.0.qcow2.zst", "containers/microvm-q10.0.save.zst"];
    let images = paths.map(|path| {
        let packed = std::fs::read(fixture(path)).unwrap();
        let mut bytes = zstd::decode_all(&packed[..]).unwrap();
        bytes.truncate(1 << 14);
        bytes
    });
    let packed = streams().into_iter().map(|bytes| zstd::encode_all(&bytes[..], 0).unwrap());
    packed.chain(images).collect()
}

pub(crate) fn return_path() -> Vec<Vec<u8>> {
    let block = Some("pc.ram".to_owned());
    let messages = [
        Message::Pong(7),
        Message::RequestPages { block, start: 0x1000, bytes: 0x1000 },
        Message::RequestPages { block: None, start: 0x2000, bytes: 0x1000 },
        Message::RecvBitmap("pc.ram".to_owned()),
        Message::ResumeAck(1),
        Message::SwitchoverAck,
        Message::Shut(0),
    ];
    let mut all = Vec::new();
    messages.iter().for_each(|message| message.write(&mut all).unwrap());
    vec![all]
}

pub(crate) fn multifd() -> Vec<Vec<u8>> {
    let packet = Packet {
        flags: 0,
        content: 0x2000,
        number: 3,
        block: "pc.ram".to_owned(),
        normal: vec![0, 0x1000],
        zero: vec![0x4000],
    };
    let initial = Initial::first(1).iter().map(Initial::save).collect::<Vec<_>>().concat();
    vec![packet.save(1 << 12), packet.save(1 << 16), initial]
}

/// For each device: a chain in its first queues, and its notification.
pub(crate) fn rings() -> Vec<Vec<u8>> {
    let chain = |queue: u8| {
        let header = [3, 0, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
        let first = [0, queue, 0, 0, 0, 16, 0, 1, 1];
        let second = [0, queue, 1, 0, 4, 0, 2, 2, 0];
        let offered = [2, queue, 1, 0, 4, queue];
        [&header[..], &first, &second, &offered].concat()
    };
    let of = |kind: u8| [vec![kind], (0..4).flat_map(chain).collect(), vec![5]].concat();
    (0..KINDS.len() as u8).map(of).collect()
}
