//! `cargo xtask man`: vmig's manual pages, which vmig makes from its own command line.

use clap::Args;
use miette::Result;

use crate::ci::cargo;

/// Write vmig's manual pages to `target/man`.
///
/// Look at one with `man target/man/vmig-inspect.1`.
#[derive(Debug, Args)]
pub(crate) struct Man {}

impl Man {
    /// Writes the pages.
    pub(crate) fn run(&self) -> Result<()> {
        cargo(&["run", "--quiet", "--package", "vmig", "--", "man", "target/man"], None)?;
        println!("the manual pages are in target/man");
        Ok(())
    }
}
