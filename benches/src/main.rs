//! vmig against its peers, and against the least that the work can cost: the same input, in turn, in one run.
//!
//! `cargo xtask bench` builds and runs this, measures besides what needs a QEMU, and makes the tables and plots of
//! `docs/performance.md`. By itself it prints a JSON object for each measurement.
//!
//! | module | what is measured |
//! | --- | --- |
//! | [`section`] | the section of one device |
//! | [`ring`] | rings |
//! | [`stream`] | whole streams |
//! | [`zero`] | telling pages of zeros |
//! | [`precopy`] | RAM of a guest that stands still, between two machines |
//! | [`downtime`] | a guest that writes while it moves |

mod downtime;
mod measured;
mod precopy;
mod random;
mod ring;
mod section;
mod stream;
mod turn;
mod zero;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use measured::Measured;
use precopy::Socket;

/// Why a measurement could not be made.
type Failed = Box<dyn std::error::Error>;

/// Measure vmig against its peers; a JSON object for each measurement
#[derive(Debug, Parser)]
struct Benches {
    /// What is measured [default: all]
    #[arg(value_enum)]
    areas: Vec<Area>,
    /// Instead, move a machine whose RAM is this file, once, and say how long it took
    #[arg(long, value_name = "FILE", conflicts_with = "areas")]
    moved: Option<PathBuf>,
    /// Over what kind of socket
    #[arg(long, value_enum, default_value_t)]
    over: Socket,
    /// Instead, make streams in this directory for other programs to look at
    #[arg(long, value_name = "DIR", conflicts_with = "areas")]
    samples: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Area {
    Section,
    Ring,
    Stream,
    Zero,
    Precopy,
    Downtime,
}

impl Area {
    fn measure(self, say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
        match self {
            Self::Section => section::measure(say),
            Self::Ring => ring::measure(say),
            Self::Stream => stream::measure(say),
            Self::Zero => zero::measure(say),
            Self::Precopy => precopy::measure(say),
            Self::Downtime => downtime::measure(say),
        }
    }
}

fn main() -> ExitCode {
    match run(Benches::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(Benches { mut areas, moved, over, samples }: Benches) -> Result<(), Failed> {
    if let Some(ram) = moved {
        println!("{}", serde_json::json!(precopy::of_file(&ram, over)?));
        return Ok(());
    }
    if let Some(dir) = samples {
        println!("{}", serde_json::json!(stream::samples(&dir)?));
        return Ok(());
    }
    if areas.is_empty() {
        areas = Area::value_variants().to_vec();
    }
    let mut say = |measured: Measured| println!("{}", serde_json::json!(measured));
    areas.into_iter().try_for_each(|area| {
        area.measure(&mut say).map_err(|error| format!("{area:?} cannot be measured: {error}").into())
    })
}

/// A recorded stream.
fn fixture(name: &str) -> Result<image::Image, Failed> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/{name}.mig.zst"));
    let file = file.to_str().ok_or("the path of the fixtures is not Unicode")?;
    Ok(image::open(file, &mut |_| ())?)
}
