//! `vmig completions` and `vmig man`: what shells and `man` know of vmig, made from the command line itself.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Failure, Outcome};
use crate::output::print;

/// Print a script that completes vmig's arguments in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig completions bash > ~/.local/share/bash-completion/completions/vmig
  vmig completions zsh > ~/.zfunc/_vmig
  vmig completions fish > ~/.config/fish/completions/vmig.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, mut command: Command) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "vmig", &mut script);
        print(|out| out.write_all(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Write manual pages, one for vmig and one for each verb, into a folder
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder; made if it is not there
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self, command: Command) -> Outcome {
        let failed = |error| Failure::Write { file: self.folder.display().to_string(), error };
        fs::create_dir_all(&self.folder).map_err(failed)?;
        clap_mangen::generate_to(command, &self.folder).map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}
