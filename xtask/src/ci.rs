//! `cargo xtask test` and `cargo xtask ci`: what is run before a change is handed in.

use std::time::Instant;

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::tools;

/// Run every test of the workspace.
///
/// `cargo test --workspace`; needs neither QEMU nor `cargo xtask fetch`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Passed on to `cargo test`, for example part of a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Check the tree: formatting, lints, documentation, tests. Stops at the first failure.
#[derive(Debug, Args)]
pub(crate) struct Ci {}

/// A step: what cargo is run with, and an environment variable that makes it strict.
type Step = (&'static [&'static str], Option<(&'static str, &'static str)>);

const STEPS: [Step; 4] = [
    (&["fmt", "--all", "--check"], None),
    (&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], None),
    (&["doc", "--workspace", "--no-deps", "--quiet"], Some(("RUSTDOCFLAGS", "-D warnings"))),
    (&["test", "--workspace", "--quiet"], None),
];

impl Test {
    /// Runs the tests; an error if one failed.
    pub(crate) fn run(&self) -> Result<()> {
        let arguments: Vec<&str> =
            ["test", "--workspace"].into_iter().chain(self.arguments.iter().map(String::as_str)).collect();
        let took = cargo(&arguments, None)?;
        println!("all tests passed ({took} s)");
        Ok(())
    }
}

impl Ci {
    /// Runs the steps one after the other; an error names the one that failed.
    pub(crate) fn run(&self) -> Result<()> {
        let mut summary = Vec::new();
        for (arguments, strict) in STEPS {
            eprintln!("== cargo {}", arguments.join(" "));
            let took = cargo(arguments, strict)?;
            summary.push(format!("ok  cargo {} ({took} s)", arguments.join(" ")));
        }
        println!("{}", summary.join("\n"));
        Ok(())
    }
}

/// Runs cargo in the workspace with its output shown; returns the seconds it took.
pub(crate) fn cargo(arguments: &[&str], variable: Option<(&str, &str)>) -> Result<u64> {
    let start = Instant::now();
    let mut command = tools::cargo()?;
    command.args(arguments).envs(variable);
    let status = command.status().into_diagnostic().wrap_err_with(|| tools::cannot_start(&command))?;
    if status.success() {
        return Ok(start.elapsed().as_secs());
    }
    Err(miette!(
        "`cargo {}` ended with {status}, success was expected (its output is above)",
        arguments.join(" ")
    ))
}
