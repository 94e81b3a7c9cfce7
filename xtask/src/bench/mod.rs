//! `cargo xtask bench`: vmig and its peers do the same work in turn, and what is printed are ratios.
//!
//! What runs within one process is measured by the program in `benches/`; here is what needs other programs
//! ([`inspect`]: QEMU's analyser, [`live`]: QEMU itself), and what becomes of the numbers ([`document`], [`plot`]).

mod document;
mod inspect;
mod live;
#[path = "../../../benches/src/measured.rs"]
mod measured;
mod ours;
mod plot;
mod still;

use clap::{Args, ValueEnum};
use measured::{Measured, Row};
use miette::Result;

/// Measure vmig against its peers, on the same work, in the same run
///
/// Numbers of one machine say little; what counts are the ratios, of medians of runs taken in turn. A ratio below 1 is
/// cheaper than what it is compared with.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench                          All that this machine has the peers for
  cargo xtask bench section ring             What one device's section costs, and rings
  cargo xtask bench live --size 512          A guest of 512 MiB between QEMU and vmig
  cargo xtask bench --analyser analyze-migration.py --write
                                             All of it, into docs/performance.md and docs/plots")]
pub(crate) struct Bench {
    /// What is measured [default: all]
    #[arg(value_enum)]
    areas: Vec<Area>,
    #[command(flatten)]
    live: live::LiveOptions,
    #[command(flatten)]
    inspect: inspect::InspectOptions,
    /// The vmig to use [default: the one of this workspace, built first]
    #[arg(long, value_name = "FILE")]
    vmig: Option<std::path::PathBuf>,
    /// Write the tables to docs/performance.md, and the plots beside it
    #[arg(long)]
    write: bool,
    /// Print a JSON object for each measurement
    #[arg(long)]
    json: bool,
}

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Area {
    /// The section of one device, against memcpy, JSON and CBOR
    Section,
    /// Rings, against rust-vmm's virtio-queue
    Ring,
    /// Scanning streams, against reading their files
    Stream,
    /// Telling pages of zeros, against reading memory
    Zero,
    /// RAM between two machines, against memcpy
    Precopy,
    /// The downtime of a guest that writes while it moves
    Downtime,
    /// `vmig inspect`, against QEMU's analyser script
    Inspect,
    /// A guest between QEMU and vmig, against QEMU to QEMU
    Live,
}

impl Area {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Bench {
    /// Measures, and prints what came of it.
    pub(crate) fn run(&self) -> Result<()> {
        let areas = if self.areas.is_empty() { Area::value_variants() } else { &self.areas };
        let mut all = Vec::new();
        let mut say = |measured: Measured| {
            match &measured {
                _ if self.json => println!("{}", serde_json::json!(measured)),
                Measured::Row(row) => println!("{}", row.line()),
                Measured::Curve(_) => {}
            }
            all.push(measured);
        };
        let ours: Vec<_> = areas.iter().filter(|area| !matches!(area, Area::Inspect | Area::Live)).collect();
        if !ours.is_empty() {
            ours::measure(&ours, &mut say)?;
        }
        if areas.contains(&Area::Inspect) {
            self.inspect.measure(self.vmig.as_deref(), &mut say)?;
        }
        if areas.contains(&Area::Live) {
            self.live.measure(self.vmig.as_deref(), &mut say)?;
        }
        if self.write {
            document::write(areas, &all)?;
        }
        Ok(())
    }
}

impl Row {
    /// As it is printed.
    fn line(&self) -> String {
        let Self { what, against, ratio, .. } = self;
        let what = format!("{what} / {against}");
        format!("{what:100} {ratio:>8.2} {:>10}", self.against_aim())
    }

    /// The aim, and whether it is missed.
    fn against_aim(&self) -> String {
        match self.aim {
            None => String::new(),
            Some(aim) if self.ratio > aim => format!("> {aim}, missed"),
            Some(aim) => format!("≤ {aim}"),
        }
    }
}
