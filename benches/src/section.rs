//! The section of one device: loading and saving it, against copying its bytes, and against what other machines keep
//! such state in.

use std::hint::black_box;

use serde::Serialize;
use serde::de::DeserializeOwned;
use virtio::Loaded;
use virtio::core::{Core, Subsections};
use virtio::device::DeviceState;
use virtio::device::net::Net;
use virtio::memory::{DeviceMemory, MemoryError, RingMemory};
use virtio::section::{SectionName, default_endianness, load_section, load_unknown_section, save_section};
use virtio::shape::Shape;
use virtio::transport::TransportState;
use vmstate::source::Source as _;
use vmstate::stream::{Configuration, Stream};
use vmstate::{Reader, Writer};

use crate::measured::{Curve, Measured};
use crate::turn::{Contest, timed};
use crate::{Failed, fixture};

const ROUNDS: usize = 301;
/// Queue pairs of the devices whose cost is drawn.
const PAIRS: [usize; 7] = [1, 2, 4, 8, 64, 256, 511];

/// Memory that is not there: what is measured is the section.
struct NoMemory;

impl RingMemory for NoMemory {
    fn read(&self, address: u64, _: &mut [u8]) -> Result<(), MemoryError> {
        Err(MemoryError::Unmapped { address })
    }
}

/// A section's body, and as what it is read.
struct Sample {
    body: Vec<u8>,
    version: u32,
    shape: Shape,
}

impl Sample {
    /// The network device of a recorded stream.
    fn recorded() -> Result<Self, Failed> {
        let image = fixture("x86-q35-kitchen-q10.0")?;
        let mut bytes = vec![0; usize::try_from(image.source.len())?];
        image.source.read_exact_at(0, &mut bytes)?;
        let stream = Stream::scan(&bytes, &mut |_| ()).stream;
        let section = stream.sections().find(|section| section.name.ends_with("/virtio-net"));
        let section = section.ok_or("the recorded stream has no network device")?;
        let name = SectionName::parse(&section.name).ok_or("its name is none")?;
        let machine = stream.configuration.as_ref().map(Configuration::machine).unwrap_or_default();
        let shape = Shape::unknown(name.device, name.transport, default_endianness(&machine));
        let body = section.body().ok_or("its body was not kept")?.to_vec();
        let memory = DeviceMemory::direct(&NoMemory);
        let (shape, _) = load_unknown_section(shape, section.version, &memory, &Reader::new(&body, 0))?;
        Ok(Self { body, version: section.version, shape })
    }

    /// The same with so many queue pairs, and without the subsections: their arrays are as long for any number of
    /// queues.
    fn with_pairs(pairs: usize) -> Result<Self, Failed> {
        let sample = Self::recorded()?;
        let mut state = sample.load()?.state;
        let queue = state.core.queues.first().cloned().ok_or("the device has no queue")?;
        state.core.queues.resize(2 * pairs + 1, queue);
        state.core.subsections = Subsections::default();
        let mut out = Writer::new();
        save_section(&state, &mut out);
        Ok(Self { body: out.into_bytes(), ..sample })
    }

    fn load(&self) -> Result<Loaded, Failed> {
        let memory = DeviceMemory::direct(&NoMemory);
        Ok(load_section(&self.shape, self.version, &memory, &Reader::new(&self.body, 0))?)
    }
}

/// All that a network device over PCI has, in a form that serde can read back.
type Parts = (TransportState, Core, Net);

fn parts(loaded: Loaded) -> Result<Parts, Failed> {
    let DeviceState::Net(net) = loaded.state.device else { return Err("it is no network device".into()) };
    Ok((loaded.state.transport, loaded.state.core, net))
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failed> {
    Ok(serde_json::from_slice(bytes)?)
}

fn to_cbor<T: Serialize>(value: &T) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)?;
    Ok(bytes)
}

fn cbor<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failed> {
    Ok(ciborium::from_reader(bytes)?)
}

/// Measures it all.
pub(crate) fn measure(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    let sample = Sample::recorded()?;
    let state = sample.load()?.state;
    let parts = parts(sample.load()?)?;
    let (as_json, as_cbor) = (serde_json::to_vec(&parts)?, to_cbor(&parts)?);
    if json::<Parts>(&as_json)? != parts || cbor::<Parts>(&as_cbor)? != parts {
        return Err("the state does not come back from JSON or CBOR".into());
    }
    let note = |bytes: &[u8]| format!("{} bytes, the section has {}", bytes.len(), sample.body.len());

    let load = Contest::new()
        .enter("copying its bytes", || timed(|| black_box(&sample.body).clone()))
        .enter("loading a network device's section", || timed(|| sample.load()))
        .enter("the same state out of JSON (serde_json)", || timed(|| json::<Parts>(black_box(&as_json))))
        .enter("the same state out of CBOR (ciborium)", || timed(|| cbor::<Parts>(black_box(&as_cbor))))
        .run(ROUNDS);
    let ours = "loading a network device's section";
    say(Measured::Row(load.row("section", ours, "copying its bytes").aim(10.0)));
    let against = "the same state out of JSON (serde_json)";
    say(Measured::Row(load.row("section", ours, against).aim(1.0).note(note(&as_json))));
    let against = "the same state out of CBOR (ciborium)";
    say(Measured::Row(load.row("section", ours, against).aim(1.0).note(note(&as_cbor))));

    let save = Contest::new()
        .enter("copying its bytes", || timed(|| black_box(&sample.body).clone()))
        .enter("saving it", || {
            timed(|| {
                let mut out = Writer::new();
                save_section(black_box(&state), &mut out);
                out
            })
        })
        .enter("the same state into JSON (serde_json)", || timed(|| serde_json::to_vec(black_box(&parts))))
        .enter("the same state into CBOR (ciborium)", || timed(|| to_cbor(black_box(&parts))))
        .run(ROUNDS);
    say(Measured::Row(save.row("section", "saving it", "copying its bytes").aim(10.0)));
    say(Measured::Row(save.row("section", "saving it", "the same state into JSON (serde_json)").aim(1.0)));
    say(Measured::Row(save.row("section", "saving it", "the same state into CBOR (ciborium)").aim(1.0)));
    by_queues(say)
}

/// How the cost grows with the number of queues.
fn by_queues(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    let mut lines = [("load", Vec::new()), ("save", Vec::new()), ("copy of the bytes", Vec::new())];
    for pairs in PAIRS {
        let sample = Sample::with_pairs(pairs)?;
        let state = sample.load()?.state;
        let medians = Contest::new()
            .enter("load", || timed(|| sample.load()))
            .enter("save", || {
                timed(|| {
                    let mut out = Writer::new();
                    save_section(black_box(&state), &mut out);
                    out
                })
            })
            .enter("copy of the bytes", || timed(|| black_box(&sample.body).clone()))
            .run(ROUNDS);
        for (name, points) in &mut lines {
            let queues = f64::from(u32::try_from(2 * pairs + 1)?);
            points.push((queues, medians.of(name) * 1e6));
        }
    }
    say(Measured::Curve(Curve {
        name: "section-by-queues".to_owned(),
        title: "A network device's section, by its queues".to_owned(),
        x: "queues".to_owned(),
        y: "µs".to_owned(),
        lines: lines.into_iter().map(|(name, points)| (name.to_owned(), points)).collect(),
    }));
    Ok(())
}
