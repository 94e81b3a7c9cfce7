//! Loads the section of every virtio device in a stream, and saves it again, so many times: what `cargo xtask guard`
//! counts the instructions of.
//!
//! ```sh
//! cargo run --release -p virtio --example round_trip -- load 100
//! cargo run --release -p virtio --example round_trip -- save 100
//! ```

use std::error::Error;
use std::hint::black_box;
use std::path::Path;

use virtio::Loaded;
use virtio::memory::{DeviceMemory, MemoryError, RingMemory};
use virtio::section::{SectionName, default_endianness, load_section, load_unknown_section, save_section};
use virtio::shape::Shape;
use vmstate::stream::Stream;
use vmstate::{Reader, Writer};

const STREAM: &str = "../../fixtures/x86-q35-kitchen-q10.0.mig.zst";

/// Rings are not looked at: what is asked for is the section alone.
struct NoMemory;

impl RingMemory for NoMemory {
    fn read(&self, address: u64, _: &mut [u8]) -> Result<(), MemoryError> {
        Err(MemoryError::Unmapped { address })
    }
}

/// A device's section.
struct Section {
    shape: Shape,
    version: u32,
    body: Vec<u8>,
    loaded: Loaded,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "load".to_owned());
    let rounds = arguments.next().map_or(Ok(1), |rounds| rounds.parse())?;
    run(&what, rounds)
}

pub(crate) fn run(what: &str, rounds: u32) -> Result<(), Box<dyn Error>> {
    let sections = sections()?;
    for _ in 0..rounds {
        for section in &sections {
            match what {
                "load" => drop(black_box(section.load()?)),
                "save" => {
                    let mut out = Writer::new();
                    save_section(black_box(&section.loaded.state), &mut out);
                    if out.as_bytes() != section.body {
                        return Err("it was not saved as it was loaded".into());
                    }
                }
                other => return Err(format!("load or save was expected, found {other}").into()),
            }
        }
    }
    Ok(())
}

impl Section {
    fn load(&self) -> Result<Loaded, vmstate::Error> {
        let memory = DeviceMemory::direct(&NoMemory);
        load_section(&self.shape, self.version, &memory, &Reader::new(black_box(&self.body), 0))
    }
}

/// Every virtio device of the stream, each loaded once.
fn sections() -> Result<Vec<Section>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(STREAM);
    let image = image::open(path.to_str().ok_or("a path in UTF-8")?, &mut |_| {})?;
    let stream = Stream::scan(image.source.as_ref(), &mut |_| {}).stream;
    let machine = stream.configuration.as_ref().ok_or("a machine type")?.machine();
    let mut sections = Vec::new();
    for section in stream.sections() {
        let (Some(name), Some(body)) = (SectionName::parse(&section.name), section.body()) else { continue };
        let shape = Shape::unknown(name.device, name.transport, default_endianness(&machine));
        let memory = DeviceMemory::direct(&NoMemory);
        let (shape, loaded) = load_unknown_section(shape, section.version, &memory, &Reader::new(body, 0))?;
        sections.push(Section { shape, version: section.version, body: body.to_vec(), loaded });
    }
    Ok(sections)
}
