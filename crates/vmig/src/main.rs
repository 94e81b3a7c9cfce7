//! `vmig`: look into, check and carry the state of virtual machines.
//!
//! One file for each verb ([`verb`]); what a verb shows is a [`report::Document`], which is printed as JSON
//! as it is, or [`render`]ed for people.
#![forbid(unsafe_code)]

mod demo;
mod fleet;
mod input;
mod live;
mod output;
mod render;
mod verb;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, Parser, Subcommand};
use tracing_subscriber::fmt::format::FmtSpan;

/// Look into, check and carry the state of virtual machines: QEMU's migration streams.
#[derive(Debug, Parser)]
#[command(name = "vmig", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "\
A stream is a file, `-` for standard input, FILE#SNAPSHOT in a qcow2 image, or an object in a store:
s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, https://HOST/PATH. Credentials are taken from
the environment: AWS_…, GOOGLE_…, AZURE_….

VMIG_LOG=info (or debug, or migration=trace) logs what happens, with times, to standard error.")]
struct Cli {
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(verb::check::Check),
    Completions(verb::completions::Completions),
    #[command(hide = true)]
    Man(verb::completions::Man),
    Decode(verb::decode::Decode),
    Demo(verb::demo::Demo),
    #[command(hide = true)]
    DemoHost(demo::host::DemoHost),
    Diff(verb::diff::Diff),
    Edit(verb::edit::Edit),
    Encode(verb::encode::Encode),
    Explain(verb::explain::Explain),
    Inspect(verb::inspect::Inspect),
    Profile(verb::profile::ProfileVerb),
    Receive(verb::receive::Receive),
    Redact(verb::redact::Redact),
    Relay(verb::relay::Relay),
    Report(verb::report::Report),
    Schema(verb::schema::SchemaVerb),
    Send(verb::send::Send),
    Verify(verb::verify::Verify),
}

/// What is logged, beneath what is shown: `VMIG_LOG=info`, `VMIG_LOG=migration=debug`, …
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("VMIG_LOG");
    if let Ok(filter) = filter {
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        subscriber.with_span_events(FmtSpan::CLOSE).init();
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if !matches!(cli.verb, Verb::DemoHost(_)) {
        log();
    }
    match cli.color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    let outcome = match cli.verb {
        Verb::Check(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(Cli::command()),
        Verb::Man(verb) => verb.run(Cli::command()),
        Verb::Decode(verb) => verb.run(),
        Verb::Demo(verb) => verb.run(),
        Verb::DemoHost(verb) => verb.run(),
        Verb::Diff(verb) => verb.run(),
        Verb::Edit(verb) => verb.run(),
        Verb::Encode(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Inspect(verb) => verb.run(),
        Verb::Profile(verb) => verb.run(),
        Verb::Receive(verb) => verb.run(),
        Verb::Redact(verb) => verb.run(),
        Verb::Relay(verb) => verb.run(),
        Verb::Report(verb) => verb.run(),
        Verb::Schema(verb) => verb.run(),
        Verb::Send(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
    };
    outcome.unwrap_or_else(|failure| failure.report())
}
