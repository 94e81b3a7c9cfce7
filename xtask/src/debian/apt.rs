//! apt with its own state: `Apt::new` writes a configuration, every command is run under it.
//!
//! The package status is empty, so that asking for a package resolves to the package and every
//! shared library below it, whatever this machine has installed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use super::suite::Suite;
use crate::progress::Step;
use crate::{tools, workspace};

/// What every apt of ours has in common.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// URI of the archive, without a trailing slash.
    pub(crate) mirror: String,
    /// Keyring that the archive's signatures are checked with.
    pub(crate) keyring: PathBuf,
    /// Lines of the machine's apt configuration on how to reach a mirror.
    pub(crate) transport: Vec<String>,
}

/// One release for one architecture.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: PathBuf,
    config: PathBuf,
}

impl Apt {
    /// Sets up the directory `dir` for a release and an architecture.
    pub(crate) fn new(dir: &Path, suite: Suite, arch: &str, source: &Source) -> Result<Self> {
        for sub in ["lists/partial", "cache/archives/partial", "state", "none", "plan/partial"] {
            workspace::create_dir(&dir.join(sub))?;
        }
        let config = dir.join("apt.conf");
        workspace::write(&dir.join("status"), "")?;
        workspace::write(
            &dir.join("sources.list"),
            format!(
                "deb [arch={arch} signed-by={}] {} {} main\n",
                source.keyring.display(),
                source.mirror,
                suite.name()
            ),
        )?;
        workspace::write(&config, configuration(dir, arch, &source.transport))?;
        Ok(Self { dir: dir.to_owned(), config })
    }

    /// Fetches the package lists; apt checks their signature.
    pub(crate) fn update(&self) -> Result<()> {
        let mut command = self.command("apt-get");
        command.args(["update", "-q", "-o", "APT::Update::Error-Mode=any"]);
        tools::output(&mut command).map(drop)
    }

    /// Downloads packages and all they depend on; returns the files.
    pub(crate) fn download_closure(&self, packages: &[&str], step: &Step) -> Result<Vec<PathBuf>> {
        let install = ["install", "-q", "-y", "--no-install-recommends"];
        let wanted = self.plan(&install, packages)?;
        let mut command = self.command("apt-get");
        command.args(install).args(["--download-only", "-o", "APT::Status-Fd=1"]).args(packages);
        run_with_status(&mut command, step)?;
        self.files(&wanted, packages)
    }

    /// Downloads exactly the named packages, without what they depend on; returns the files.
    pub(crate) fn download(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let wanted = self.plan(&["download"], packages)?;
        let mut command = self.command("apt-get");
        tools::output(command.args(["download", "-q"]).args(packages).current_dir(self.archives()))?;
        self.files(&wanted, packages)
    }

    /// The names of the files that a download would bring into an empty cache. (With the real one,
    /// apt leaves out what it has already.)
    fn plan(&self, verb: &[&str], packages: &[&str]) -> Result<Vec<String>> {
        let mut command = self.command("apt-get");
        command.args(verb).args(["--print-uris", "-qq", "-o"]);
        command.arg(format!("Dir::Cache::archives={}/plan/", self.dir.display())).args(packages);
        let said =
            String::from_utf8_lossy(&tools::output(command.current_dir(self.dir.join("plan")))?).into_owned();
        Ok(said.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect())
    }

    /// What a package depends on directly, by name.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        let said = tools::output(command.args(["depends", "--important", package]))?;
        let named = |line: &str| line.trim_start().strip_prefix("Depends: ").map(str::to_owned);
        Ok(String::from_utf8_lossy(&said).lines().filter_map(named).collect())
    }

    fn archives(&self) -> PathBuf {
        self.dir.join("cache/archives")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.config).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn files(&self, names: &[String], packages: &[&str]) -> Result<Vec<PathBuf>> {
        let files: Vec<PathBuf> = names.iter().map(|name| self.archives().join(name)).collect();
        if files.is_empty() {
            return Err(miette!(
                "apt named no file for {}; at least one package was expected",
                packages.join(" ")
            ));
        }
        match files.iter().find(|file| !file.exists()) {
            Some(missing) => Err(miette!("apt succeeded, but {} is not there", missing.display())),
            None => Ok(files),
        }
    }
}

/// The whole configuration: the machine's own is not read, so that its hooks do not run either.
fn configuration(dir: &Path, arch: &str, transport: &[String]) -> String {
    let dir = dir.display();
    let mut text = format!(
        r#"// Written by `cargo xtask fetch`; anything changed here is lost.
Dir::Etc::parts "{dir}/none";
Dir::Etc::main "{dir}/none/apt.conf";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "{dir}/none";
Dir::Etc::preferences "{dir}/none/preferences";
Dir::Etc::preferencesparts "{dir}/none";
Dir::Etc::trusted "{dir}/none/trusted.gpg";
Dir::Etc::trustedparts "{dir}/none";
Dir::State "{dir}/state";
Dir::State::lists "{dir}/lists";
Dir::State::status "{dir}/status";
Dir::State::extended_states "{dir}/state/extended_states";
Dir::Cache "{dir}/cache";
Dir::Log "{dir}/state";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Debug::NoLocking "true";
"#
    );
    for line in transport {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Runs apt and follows its status lines (`dlstatus:FILES:PERCENT:TEXT`).
fn run_with_status(command: &mut Command, step: &Step) -> Result<()> {
    let errors = tempfile::NamedTempFile::new().into_diagnostic()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors.reopen().into_diagnostic()?)
        .spawn()
        .into_diagnostic()
        .wrap_err_with(|| tools::cannot_start(command))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
            if let Some(percent) = line.strip_prefix("dlstatus:").and_then(|rest| rest.split(':').nth(1)) {
                step.set_percent(percent.parse().unwrap_or(0.0));
            }
        }
    }
    let status = child.wait().into_diagnostic()?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&workspace::read(errors.path())?).into_owned();
    Err(miette!("apt-get ended with {status}, success was expected\n{}", tools::tail(&said)))
}
