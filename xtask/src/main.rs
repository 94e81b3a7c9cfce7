//! Developer chores of vmig.
//!
//! `cargo xtask fetch` brings real QEMU versions and a small guest under `target/qemu`,
//! `cargo xtask interop` carries a running guest from QEMU through vmig to QEMU,
//! `cargo xtask faults` breaks that at every stage,
//! `cargo xtask fuzz` gives random bytes to everything that reads,
//! `cargo xtask bench` measures it against its peers, `cargo xtask guard` counts its instructions,
//! `cargo xtask record` makes fixtures, `cargo xtask test` and `cargo xtask ci` check the tree.

mod bench;
mod cases;
mod ci;
mod debian;
mod document;
mod faults;
mod fetch;
mod fuzz;
mod guard;
mod guest;
mod interop;
mod machine;
mod man;
mod picture;
mod progress;
mod qemu;
mod record;
mod tls;
mod tools;
mod truth;
mod vmig;
mod workspace;

use clap::Parser;
use miette::Result;

/// Developer chores of vmig.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
enum Xtask {
    Fetch(fetch::Fetch),
    Interop(interop::Interop),
    Faults(faults::Faults),
    Fuzz(fuzz::Fuzz),
    Bench(bench::Bench),
    Guard(guard::Guard),
    Record(record::Record),
    Test(ci::Test),
    Ci(ci::Ci),
    Man(man::Man),
    Picture(picture::Picture),
}

fn main() -> Result<()> {
    match Xtask::parse() {
        Xtask::Fetch(command) => command.run(),
        Xtask::Interop(command) => command.run(),
        Xtask::Faults(command) => command.run(),
        Xtask::Fuzz(command) => command.run(),
        Xtask::Bench(command) => command.run(),
        Xtask::Guard(command) => command.run(),
        Xtask::Record(command) => command.run(),
        Xtask::Test(command) => command.run(),
        Xtask::Ci(command) => command.run(),
        Xtask::Man(command) => command.run(),
        Xtask::Picture(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_make_sense() {
        super::Xtask::command().debug_assert();
    }
}
