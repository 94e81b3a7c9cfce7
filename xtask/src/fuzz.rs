//! `cargo xtask fuzz`: libFuzzer makes bytes for everything that reads what others wrote.
//!
//! Stable Rust can do it: instrumentation is a pass of LLVM, and libFuzzer comes with the crate `libfuzzer-sys`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::Serialize;

use crate::{ci, tools, workspace};

/// Has LLVM count each edge that is taken, and report what is compared: what libFuzzer goes by.
const INSTRUMENTED: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Megabytes that a target may take.
const MEMORY: &str = "-rss_limit_mb=2048";
/// Seconds that one input may take.
const PATIENCE: &str = "-timeout=20";

/// Give random bytes to everything that reads what others wrote.
///
/// Each target runs in turn for some time, from the corpus in the tree, the seeds of recorded streams, and what
/// earlier runs have found (kept below target/fuzz/corpus). An input that breaks a promise is kept, and said how to
/// run again. Needs a C++ compiler; the first build takes minutes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz                        each target, for a minute
  cargo xtask fuzz pci mmio --seconds 600
  cargo xtask fuzz --seconds 4 --json     what .ci/run does with VMIG_CI_FUZZ=1

Exit status: 0 every promise was kept; 1 otherwise.")]
pub(crate) struct Fuzz {
    /// Targets: those of fuzz/src/lib.rs [default: all]
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// How a target did.
#[derive(Debug, Serialize)]
struct Ran {
    target: String,
    executions: u64,
    executions_per_second: u64,
    /// Edges that were taken, of all in the program, with what no target reaches.
    edges: u64,
    edges_in_all: u64,
    /// The input that broke a promise, and what was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    file: PathBuf,
    said: String,
}

impl Fuzz {
    /// Runs the targets and reports; an error if a promise was broken.
    pub(crate) fn run(&self) -> Result<()> {
        let folder = workspace::cargo_target()?.join("fuzz");
        let program = build(&folder)?;
        let all = seeds(&program, &folder)?;
        let known: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        if let Some(unknown) = self.targets.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(miette!("no target is named `{unknown}`; expected one of\n  {}", known.join("\n  ")));
        }
        let mut rans = Vec::new();
        for (name, longest) in &all {
            if self.targets.is_empty() || self.targets.contains(name) {
                let ran = self.target(name, longest, &program, &folder)?;
                if !self.json {
                    println!("{}", ran.line());
                }
                rans.push(ran);
            }
        }
        if self.json {
            println!("{}", serde_json::to_string(&rans).into_diagnostic()?);
        }
        let broken: Vec<_> = rans.iter().filter_map(|ran| ran.report(&program)).collect();
        if broken.is_empty() { Ok(()) } else { Err(miette!("{}", broken.join("\n\n"))) }
    }

    /// Runs a target for its time.
    fn target(&self, name: &str, longest: &str, program: &Path, folder: &Path) -> Result<Ran> {
        let found = folder.join("found");
        workspace::create_dir(&found)?;
        let mut command = Command::new(program);
        command.env("VMIG_FUZZ", name).current_dir(workspace::root()?);
        command.args([MEMORY, PATIENCE, "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={}", self.seconds)).arg(format!("-max_len={longest}"));
        command.arg(format!("-artifact_prefix={}/{name}-", found.display()));
        // What is new goes to the first.
        command.arg(folder.join("corpus").join(name));
        let in_tree = ["corpus", "found"].map(|kind| Path::new("fuzz").join(kind).join(name));
        command.args(in_tree.into_iter().filter(|path| path.is_dir()));
        ran(name, &tools::run(&mut command)?)
    }
}

/// Builds libFuzzer with the targets; gives the program.
fn build(folder: &Path) -> Result<PathBuf> {
    let rustc = tools::output(Command::new("rustc").arg("-vV"))?;
    let rustc = String::from_utf8_lossy(&rustc).into_owned();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| miette!("`rustc -vV` was expected to name its host, and said\n{rustc}"))?;
    let target_dir = folder.to_str().ok_or_else(|| miette!("{} is not UTF-8", folder.display()))?;
    let what = ["build", "--quiet", "--package", "fuzz", "--features", "libfuzzer", "--bin", "fuzz"];
    // With a target, build scripts are not instrumented.
    let how = ["--profile", "fuzz", "--target", host, "--target-dir", target_dir];
    ci::cargo(&[&what[..], &how].concat(), Some(("RUSTFLAGS", INSTRUMENTED)))
        .wrap_err("cannot build the targets; is a C++ compiler installed?")?;
    Ok(folder.join(host).join("fuzz").join("fuzz"))
}

/// Writes the seeds; gives the targets, and the most bytes for each.
fn seeds(program: &Path, folder: &Path) -> Result<Vec<(String, String)>> {
    let said = tools::output(Command::new(program).env("VMIG_FUZZ_SEEDS", folder.join("corpus")))?;
    let said = String::from_utf8_lossy(&said);
    let pair = |line: &str| line.split_once(' ').map(|(name, longest)| (name.to_owned(), longest.to_owned()));
    Ok(said.lines().filter_map(pair).collect())
}

/// The number behind the last of a word that libFuzzer said.
fn number(said: &str, word: &str) -> Option<u64> {
    let (_, rest) = said.rsplit_once(word)?;
    rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What libFuzzer said.
fn ran(name: &str, output: &Output) -> Result<Ran> {
    let said = String::from_utf8_lossy(&output.stderr);
    let missing = |what: &str| miette!("libFuzzer did not say {what} of `{name}`\n{}", tools::tail(&said));
    let found = match (output.status.success(), said.rsplit_once("Test unit written to ")) {
        (true, _) => None,
        (false, Some((before, after))) => {
            let file = after.lines().next().unwrap_or_default().into();
            let panic = before.lines().skip_while(|line| !line.contains("panicked at")).take(2);
            let said = panic.collect::<Vec<_>>().join(": ");
            let said = if said.is_empty() { tools::tail(before) } else { said };
            Some(Found { file, said })
        }
        (false, None) => return Err(missing("what ended it")),
    };
    Ok(Ran {
        target: name.to_owned(),
        executions: number(&said, "stat::number_of_executed_units:").ok_or_else(|| missing("how often"))?,
        executions_per_second: number(&said, "stat::average_exec_per_sec:").unwrap_or_default(),
        edges: number(&said, " cov: ").ok_or_else(|| missing("the coverage"))?,
        edges_in_all: number(&said, " modules   (").unwrap_or_default(),
        found,
    })
}

impl Ran {
    /// For people.
    fn line(&self) -> String {
        let Self { target, executions, executions_per_second, edges, found, .. } = self;
        let end = if found.is_some() { "a promise was BROKEN" } else { "ok" };
        format!(
            "{target:12} {executions:>11} executions, {executions_per_second:>7}/s, {edges:>6} edges  {end}"
        )
    }

    /// What was found, and how to see it again.
    fn report(&self, program: &Path) -> Option<String> {
        let (Self { target, .. }, Found { file, said }) = (self, self.found.as_ref()?);
        let (program, file) = (program.display(), file.display());
        Some(format!(
            "{target}: {said}\n  again: VMIG_FUZZ={target} {program} {file}\n  as a test: copy it to fuzz/found/{target}/, \
             then cargo test -p fuzz"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    const DONE: &str = "INFO: Loaded 1 modules   (4711 inline 8-bit counters): 4711 [0x1, 0x2),\n\
        #2 INITED cov: 3 ft: 3 corp: 1/1b exec/s: 0 rss: 40Mb\n\
        #900 DONE   cov: 25 ft: 30 corp: 5/9b lim: 4 exec/s: 300 rss: 41Mb\n\
        stat::number_of_executed_units: 900\nstat::average_exec_per_sec:     300\n";

    fn of(status: i32, said: &str) -> Output {
        Output { status: ExitStatus::from_raw(status << 8), stdout: Vec::new(), stderr: said.into() }
    }

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let ran = super::ran("pci", &of(0, DONE)).unwrap();
        assert_eq!((ran.executions, ran.executions_per_second), (900, 300));
        assert_eq!((ran.edges, ran.edges_in_all, ran.found.is_none()), (25, 4711, true));
        assert!(super::ran("pci", &of(1, "cannot map")).is_err());
    }

    #[test]
    fn what_was_found_is_said() {
        let panic = "thread panicked at a.rs:1:\nindex out of bounds\nartifact_prefix='x'; \
            Test unit written to x/pci-crash-1\nBase64: AA==\n";
        let ran = super::ran("pci", &of(77, &format!("{DONE}{panic}{DONE}"))).unwrap();
        let report = ran.report(Path::new("target/fuzz")).unwrap();
        assert!(
            report.contains("index out of bounds")
                && report.contains("VMIG_FUZZ=pci target/fuzz x/pci-crash-1")
        );
    }
}
