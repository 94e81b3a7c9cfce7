//! Developer chores of vmig.
//!
//! `cargo xtask fetch` brings real QEMU versions and a small guest under `target/qemu`,
//! `cargo xtask interop` carries a running guest from QEMU through vmig to QEMU,
//! `cargo xtask record` makes fixtures, `cargo xtask test` and `cargo xtask ci` check the tree.

mod debian;
mod fetch;
mod guest;
mod progress;
mod qemu;
mod tools;
mod workspace;

use clap::Parser;
use miette::Result;

/// Developer chores of vmig.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
enum Xtask {
    Fetch(fetch::Fetch),
}

fn main() -> Result<()> {
    match Xtask::parse() {
        Xtask::Fetch(command) => command.run(),
    }
}
