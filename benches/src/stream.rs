//! Whole streams: scanning, against reading their files; and what their cost grows with.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use virtio::guest::Guest;
use vmstate::Writer;
use vmstate::ram::{Block, Encoder, PageAddress};
use vmstate::source::{FileSource, Source};
use vmstate::stream::{Configuration, Head, Kind, Stream, StreamDescription, footer, save_start};
use vmstate::vmdesc::{DeviceDesc, VmDesc};

use crate::measured::{Curve, Measured, Sample};
use crate::random::Random;
use crate::turn::{Contest, timed};
use crate::{Failed, fixture};

const ROUNDS: usize = 9;
const PAGE: u64 = 4096;
/// MiB of RAM of the streams whose cost is drawn; the last is also the one that is compared.
const SIZES: [u64; 5] = [64, 128, 256, 512, 1024];
/// Pages of one section; QEMU sends as many as it can in 50 ms.
const PAGES_AT_ONCE: u64 = 8192;
const RAM_ID: u32 = 2;
/// Device sections of the streams whose cost is drawn.
const DEVICES: [u32; 6] = [1, 4, 16, 64, 128, 256];

/// The recorded stream with the most devices.
const RECORDED: &str = "x86-q35-kitchen-q10.0";

/// What the pages of a stream hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pages {
    Random,
    Zero,
}

/// A stream as a live migration of a guest of one block writes it.
fn write(pages: Pages, bytes: u64, out: &mut dyn Write) -> Result<(), Failed> {
    let name = b"pc-q35-10.0";
    let configuration = Configuration { len: 11, name: name.to_vec(), ..Configuration::default() };
    let mut head = Writer::new();
    save_start(Some(&configuration), &mut head);
    Head::Section { kind: Kind::Start, id: RAM_ID, name: "ram".to_owned(), instance: 0, version: 4 }
        .save(&mut head);
    Encoder::block_list(&[Block::new("pc.ram", bytes)], &mut head);
    close(&mut head);
    let mut encoder = Encoder::new(&[Block::new("pc.ram", bytes)]);
    let mut random = Random::default();
    let mut page = [0; 4096];
    for number in 0..bytes / PAGE {
        if number % PAGES_AT_ONCE == 0 {
            Head::More { kind: Kind::Part, id: RAM_ID }.save(&mut head);
        }
        let at = PageAddress { block: 0, offset: number * PAGE };
        if pages == Pages::Zero {
            encoder.zero(at, &mut head);
        } else {
            encoder.page(at, &mut head);
            random.read_exact(&mut page)?;
            head.bytes(&page);
        }
        if (number + 1) % PAGES_AT_ONCE == 0 {
            close(&mut head);
        }
        out.write_all(head.as_bytes())?;
        head.clear();
    }
    Head::More { kind: Kind::End, id: RAM_ID }.save(&mut head);
    close(&mut head);
    end(Vec::new(), &mut head)?;
    Ok(out.write_all(head.as_bytes())?)
}

/// Ends a section of RAM.
fn close(out: &mut Writer) {
    Encoder::end_of_section(out);
    out.bytes(&footer(RAM_ID));
}

/// Ends a stream.
fn end(devices: Vec<DeviceDesc>, out: &mut Writer) -> Result<(), Failed> {
    Head::Eof.save(out);
    let description = StreamDescription::new(VmDesc { configuration: None, page_size: PAGE, devices });
    description.save_head(out)?;
    out.bytes(&description.json);
    Ok(())
}

/// A stream in a file.
fn file(pages: Pages, mib: u64) -> Result<NamedTempFile, Failed> {
    let file = NamedTempFile::with_prefix("vmig-bench-")?;
    let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
    write(pages, mib << 20, &mut out)?;
    out.flush()?;
    drop(out);
    Ok(file)
}

/// Streams as files in a directory, for other programs.
pub(crate) fn samples(dir: &Path) -> Result<Vec<Sample>, Failed> {
    let made =
        [(Pages::Random, 1, "random pages", "random.mig"), (Pages::Zero, 16, "pages of zeros", "zero.mig")];
    let mut samples = Vec::new();
    for (pages, gib, content, name) in made {
        let path = dir.join(name);
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        write(pages, gib << 30, &mut out)?;
        out.flush()?;
        samples.push(Sample {
            what: format!("a stream of {gib} GiB of {content}"),
            is_read_through: pages == Pages::Random,
            file: path,
        });
    }
    let recorded = fixture(RECORDED)?;
    let mut bytes = vec![0; usize::try_from(recorded.source.len())?];
    recorded.source.read_exact_at(0, &mut bytes)?;
    let path = dir.join("recorded.mig");
    std::fs::write(&path, &bytes)?;
    let what = format!("a recorded stream with 9 virtio devices ({} KiB)", bytes.len() >> 10);
    samples.push(Sample { what, is_read_through: false, file: path });
    Ok(samples)
}

fn scan(source: &dyn Source) -> Stream {
    let scan = Stream::scan(source, &mut |_| ());
    assert!(scan.stopped.is_none() && scan.stream.ram.is_some(), "{:?}", scan.stopped);
    scan.stream
}

/// What `cat` does.
fn read_through(file: &NamedTempFile) -> io::Result<u64> {
    let (mut buffer, mut all) = (vec![0; 128 << 10], 0);
    let mut file = File::open(file.path())?;
    loop {
        match file.read(black_box(&mut buffer))? {
            0 => return Ok(all),
            read => all += read as u64,
        }
    }
}

/// Measures it all.
pub(crate) fn measure(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    by_ram(say)?;
    by_devices(say)
}

fn by_ram(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    let (random, read, zero) = ("random pages", "reading the file", "pages of zeros");
    let mut lines = [random, read, zero].map(|name| (name.to_owned(), Vec::new()));
    for mib in SIZES {
        let (randoms, zeros) = (file(Pages::Random, mib)?, file(Pages::Zero, mib)?);
        let (source, zero_source) = (FileSource::new(randoms.reopen()?)?, FileSource::new(zeros.reopen()?)?);
        let medians = Contest::new()
            .enter(read, || timed(|| read_through(&randoms)))
            .enter(random, || timed(|| scan(&source)))
            .enter(zero, || timed(|| scan(&zero_source)))
            .run(ROUNDS);
        for (name, points) in &mut lines {
            points.push((f64::from(u32::try_from(mib)?), medians.of(name) * 1e3));
        }
        if Some(&mib) == SIZES.last() {
            let mut row = medians.row("stream", random, read).aim(2.0);
            row.what = format!("scanning a stream of {mib} MiB of random pages");
            say(Measured::Row(row.note("the file is in the page cache")));
        }
    }
    say(Measured::Curve(Curve {
        name: "scan-by-ram".to_owned(),
        title: "Scanning a stream, by its RAM".to_owned(),
        x: "MiB of RAM".to_owned(),
        y: "ms".to_owned(),
        lines: lines.into(),
    }));
    Ok(())
}

/// Streams with ever more network devices: each is decoded, with its queues.
fn by_devices(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    let image = fixture(RECORDED)?;
    let recorded = scan(image.source.as_ref());
    let section = recorded.sections().find(|section| section.name.ends_with("/virtio-net"));
    let section = section.ok_or("the recorded stream has no network device")?;
    let description = recorded.description.as_ref().ok_or("the recorded stream has no description")?;
    let device = description.desc.devices.iter().find(|device| device.name == section.name);
    let device = device.ok_or("the description has no network device")?;
    let body = section.body().ok_or("its body was not kept")?;
    let (scanned, decoded) = ("scanned", "scanned and decoded");
    let mut lines = [scanned, decoded].map(|name| (name.to_owned(), Vec::new()));
    for count in DEVICES {
        let mut out = Writer::new();
        save_start(recorded.configuration.as_ref(), &mut out);
        let mut devices = Vec::new();
        for number in 0..count {
            let name = format!("0000:{:02x}:{:02x}.0/virtio-net", number / 32, number % 32);
            let id = RAM_ID + 1 + number;
            let head = Head::Section {
                kind: Kind::Full,
                id,
                name: name.clone(),
                instance: 0,
                version: section.version,
            };
            head.save(&mut out);
            out.bytes(body);
            out.bytes(&footer(id));
            devices.push(DeviceDesc { name, ..device.clone() });
        }
        end(devices, &mut out)?;
        let bytes = out.into_bytes();
        let medians = Contest::new()
            .enter(scanned, || timed(|| Stream::scan(black_box(&bytes), &mut |_| ())))
            .enter(decoded, || {
                timed(|| {
                    let stream = Stream::scan(black_box(&bytes), &mut |_| ()).stream;
                    Guest::decode(&stream, &bytes)
                })
            })
            .run(ROUNDS);
        for (name, points) in &mut lines {
            points.push((f64::from(count), medians.of(name) * 1e3));
        }
    }
    say(Measured::Curve(Curve {
        name: "decode-by-devices".to_owned(),
        title: "A stream, by its devices".to_owned(),
        x: "network devices with 46 KiB of state".to_owned(),
        y: "ms".to_owned(),
        lines: lines.into(),
    }));
    Ok(())
}
