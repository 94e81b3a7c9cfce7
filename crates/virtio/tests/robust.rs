//! Streams cut or changed anywhere: a clear error or a decoded state, never a panic.
//!
//! Which bytes are changed is up to chance; `VMIG_EXHAUSTIVE=1` has every byte of every device section
//! of the streams here changed in turn, which takes half an hour (`--release`).
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use common::{bytes, fixture};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use virtio::Loaded;
use virtio::companion::Companion;
use virtio::guest::{Content, Guest};
use virtio::memory::{DeviceMemory, Layout, RingMemory, StreamMemory};
use virtio::section::{SectionName, default_endianness, load_section, load_unknown_section, save_section};
use virtio::shape::Shape;
use vmstate::source::Source;
use vmstate::stream::{Section, Stream};
use vmstate::{Error, Reader, Writer};

/// Each transport, old and new; requests in flight; packed rings; every device with much of its own state.
const STREAMS: [&str; 13] = [
    "arm64-virt-mmio-q10.0",
    "ppc64-pseries-slof-be-q10.0",
    "s390x-ccw-ioerr-q10.0",
    "s390x-ccw-q10.0",
    "x86-i440fx-legacy-q10.0",
    "x86-microvm-mmio-legacy-q10.0",
    "x86-q35-blk-ioerr-q10.0",
    "x86-q35-gpu-q10.0",
    "x86-q35-kitchen-q5.2",
    "x86-q35-net-mq4-q10.0",
    "x86-q35-packed-q10.0",
    "x86-q35-scsi-ioerr-q10.0",
    "x86-q35-serial-blocked-q10.0",
];

/// A device's section, of which other bodies are tried.
struct Subject<'a> {
    section: &'a Section,
    machine: &'a str,
    memory: &'a dyn RingMemory,
}

impl Subject<'_> {
    fn is_one(section: &Section) -> bool {
        let name = &section.name;
        section.body().is_some()
            && (SectionName::parse(name).is_some() || Companion::of_section(name).is_some())
    }

    fn body(&self) -> &[u8] {
        self.section.body().unwrap()
    }

    /// Loads another body, and saves it again if it could be loaded.
    fn try_body(&self, body: &[u8]) {
        let Section { name, body_offset, .. } = self.section;
        match self.saved_again(body) {
            Ok(saved) => assert_eq!(saved.len(), body.len(), "{name}"),
            Err(error) => {
                let within = *body_offset..=body_offset + body.len() as u64;
                assert!(within.contains(&error.offset()), "{name}: {error}");
            }
        }
    }

    fn saved_again(&self, body: &[u8]) -> Result<Vec<u8>, Error> {
        let Section { name, version, body_offset, .. } = self.section;
        let input = Reader::new(body, *body_offset);
        let Some(parsed) = SectionName::parse(name) else {
            let kind = Companion::of_section(name).unwrap();
            let loaded = Companion::load_unknown(kind, *version, &input)?.1;
            let mut out = Writer::new();
            loaded.state.save(&mut out);
            return Ok(out.into_bytes());
        };
        let shape = Shape::unknown(parsed.device, parsed.transport, default_endianness(self.machine));
        let memory = DeviceMemory::direct(self.memory);
        let (shape, loaded) = load_unknown_section(shape, *version, &memory, &input)?;
        let saved = saved(&loaded);
        // What was written is read as what it was.
        let again = load_section(&shape, *version, &memory, &Reader::new(&saved, *body_offset));
        assert_eq!(self::saved(&again.unwrap()), saved);
        Ok(saved)
    }
}

fn saved(device: &Loaded) -> Vec<u8> {
    let mut out = Writer::new();
    save_section(&device.state, &mut out);
    out.into_bytes()
}

/// Calls `check` with each device section of the streams above.
fn for_each_subject(mut check: impl FnMut(&Subject<'_>)) {
    for name in STREAMS {
        let fixture = fixture(name);
        let machine = fixture.guest.machine.as_deref().unwrap();
        let ram = fixture.stream.ram.as_ref().unwrap();
        let layout = Layout::for_ram(machine, ram).unwrap();
        let memory = StreamMemory::new(ram, fixture.source.as_ref(), &layout);
        for section in fixture.stream.sections().filter(|section| Subject::is_one(section)) {
            check(&Subject { section, machine, memory: &memory });
        }
    }
}

/// A place in a body: the counts are near its ends, the long tables of queues in between.
fn place() -> impl Strategy<Value = (u8, Index)> {
    (0_u8..3, any::<Index>())
}

fn resolve((part, index): (u8, Index), length: usize) -> usize {
    let near = length.min(700);
    match part {
        0 => index.index(length),
        1 => index.index(near),
        _ => length - 1 - index.index(near),
    }
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn a_body_with_a_changed_byte() {
    let exhaustive = std::env::var_os("VMIG_EXHAUSTIVE").is_some();
    for_each_subject(|subject| {
        let mut body = subject.body().to_vec();
        if exhaustive {
            for place in 0..body.len() {
                let before = body[place];
                for value in [before ^ 1, before ^ 0x80, !before] {
                    body[place] = value;
                    subject.try_body(&body);
                }
                body[place] = before;
            }
            return;
        }
        let run = runner(48).run(&(place(), 1..=u8::MAX), |(place, change)| {
            let mut body = subject.body().to_vec();
            let place = resolve(place, body.len());
            body[place] ^= change;
            subject.try_body(&body);
            Ok(())
        });
        run.unwrap();
    });
}

#[test]
fn a_body_with_many_changed_bytes() {
    let changes = proptest::collection::vec((place(), any::<u8>()), 1..12);
    for_each_subject(|subject| {
        let run = runner(20).run(&changes, |changes| {
            let mut body = subject.body().to_vec();
            for (place, value) in changes {
                let place = resolve(place, body.len());
                body[place] = value;
            }
            subject.try_body(&body);
            Ok(())
        });
        run.unwrap();
    });
}

#[test]
fn a_body_that_is_cut() {
    for_each_subject(|subject| {
        let body = subject.body();
        let run = runner(20).run(&place(), |place| {
            subject.try_body(&body[..resolve(place, body.len())]);
            Ok(())
        });
        run.unwrap();
        subject.try_body(&[body, &[0]].concat());
    });
}

/// Decodes all there is of a stream, and saves what could be decoded.
fn decode(bytes: &[u8]) {
    let scan = Stream::scan(&bytes, &mut |_| ());
    assert!(scan.stopped.is_some() || scan.stream.is_complete());
    if let Some(error) = &scan.stopped {
        assert!(error.offset() <= bytes.len() as u64, "{error}");
    }
    let guest = Guest::decode(&scan.stream, &bytes);
    for section in scan.stream.sections() {
        let Some(content) = guest.content(section) else { continue };
        let error: Option<&Error> = match content {
            Ok(Content::Device(device)) => device.loaded.as_ref().err(),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            assert!(error.path().starts_with(&section.name), "{}: {error}", section.name);
            let within = section.body_offset..=section.body_end();
            assert!(within.contains(&error.offset()), "{}: {error}", section.name);
        }
        if let Ok(content) = content {
            _ = content.save();
        }
    }
}

#[test]
fn a_stream_that_is_cut() {
    for name in STREAMS {
        let bytes = bytes(name);
        let run = runner(5).run(&any::<Index>(), |cut| {
            decode(&bytes[..cut.index(bytes.len())]);
            Ok(())
        });
        run.unwrap();
    }
}

#[test]
fn a_stream_with_a_changed_byte_in_a_device_section() {
    for name in STREAMS {
        let fixture = fixture(name);
        let sections: Vec<_> =
            fixture.stream.sections().filter(|section| section.body_bytes > 0 && !section.is_ram()).collect();
        let mut bytes = vec![0; usize::try_from(fixture.source.len()).unwrap()];
        fixture.source.read_exact_at(0, &mut bytes).unwrap();
        let run = runner(5).run(&(any::<Index>(), place(), 1..=u8::MAX), |(section, place, change)| {
            let section = section.get(&sections);
            let mut bytes = bytes.clone();
            let body =
                usize::try_from(section.body_offset).unwrap()..usize::try_from(section.body_end()).unwrap();
            bytes[body.start + resolve(place, body.len())] ^= change;
            decode(&bytes);
            Ok(())
        });
        run.unwrap();
    }
}
