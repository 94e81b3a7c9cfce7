//! What is to be seen of a demonstration.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use machine::guest::report::StorageReport;
use serde_json::{Value, json};

use super::play::Ended;
use super::protocol::{Setting, Step};
use crate::render::style::{BAD, DOUBTFUL, GOOD, HEADING};

/// Shows what happens: to people, or as JSON.
pub(super) struct Show {
    json: bool,
    bar: ProgressBar,
    /// Which move it is.
    hop: u32,
    /// Who the guest leaves, for whom, and whether by post-copy.
    source: String,
    destination: String,
    postcopy: bool,
    /// How long the guest was down, by post-copy and by pre-copy, in seconds.
    downtimes: [Vec<f64>; 2],
    /// What the source measured, until the destination has, too.
    saved: Option<Value>,
    loaded: Option<Value>,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(1) };
        let style = ProgressStyle::with_template("  {wide_bar} {percent:>3}% {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            json,
            bar,
            hop: 0,
            source: String::new(),
            destination: String::new(),
            postcopy: false,
            downtimes: [Vec::new(), Vec::new()],
            saved: None,
            loaded: None,
        }
    }

    fn line(&self, text: &str) {
        if !self.json {
            self.bar.suspend(|| anstream::println!("{text}"));
        }
    }

    fn object(&self, object: &Value) {
        if self.json {
            // A demonstration goes on also when nobody looks any more.
            drop(writeln!(io::stdout().lock(), "{object}"));
        }
    }

    /// The guest has booted.
    pub(super) fn begins(&self, setting: &Setting, queues: u64) {
        self.object(&json!({ "word": "begins", "setting": setting, "queues": queues }));
        self.line(&format!(
            "{HEADING}a guest{HEADING:#} with {queues} queues: {} block, {} SCSI and control, {} network pairs and control, console,\n  \
             entropy, sockets, keyboard, balloon; {} rings over {}; {} of RAM, of which it dirties {} again and again",
            setting.blk_queues,
            setting.scsi_queues,
            setting.net_pairs,
            word(setting.rings),
            word(setting.transport),
            HumanBytes(setting.ram),
            HumanBytes(setting.dirty),
        ));
    }

    /// A move begins.
    pub(super) fn moves(&mut self, hop: u32, from: &str, to: &str, postcopy: bool) {
        (self.hop, self.postcopy) = (hop, postcopy);
        (self.source, self.destination) = (from.to_owned(), to.to_owned());
        let by = if postcopy { "post-copy" } else { "pre-copy" };
        self.object(&json!({ "word": "moves", "hop": hop, "from": from, "to": to, "by": by }));
        self.line(&format!("\n{HEADING}move {hop}{HEADING:#}  {from} → {to}, by {by}"));
    }

    /// Something is done to a host.
    pub(super) fn happens(&self, what: &str) {
        self.object(&json!({ "word": "fault", "what": what }));
        self.line(&format!("  {DOUBTFUL}fault{DOUBTFUL:#}  {what}"));
    }

    /// The guest did not move.
    pub(super) fn stays(&self, host: &str, goes_on: bool) {
        self.object(&json!({ "word": "stays", "host": host, "goes_on": goes_on }));
        let how =
            if goes_on { format!("{GOOD}goes on{GOOD:#}") } else { format!("{BAD}does not go on{BAD:#}") };
        self.line(&format!("  the guest is still on {host}, and {how}"));
    }

    /// A host has said something.
    pub(super) fn heard(&mut self, host: &str, word: &Value) {
        if host == self.source && word.get("word").and_then(Value::as_str) == Some("moved") {
            let [late, whole] = &mut self.downtimes;
            (if self.postcopy { late } else { whole }).push(number(word, "/downtime"));
        }
        if self.json {
            let mut word = word.clone();
            if let Some(object) = word.as_object_mut() {
                object.insert("host".to_owned(), host.into());
            }
            return self.object(&word);
        }
        match word.get("word").and_then(Value::as_str) {
            Some("migration") => self.migration(word),
            Some("step") => self.step(word),
            Some("failed") => {
                let error = word.get("error").and_then(Value::as_str).unwrap_or_default();
                self.line(&format!("  {DOUBTFUL}given up{DOUBTFUL:#}  {error}"));
            }
            Some("moved") => {
                *(if host == self.source { &mut self.saved } else { &mut self.loaded }) = Some(word.clone());
                if let (Some(saved), Some(loaded)) = (&self.saved, &self.loaded) {
                    self.bar.finish_and_clear();
                    self.line(&table(saved, loaded));
                    (self.saved, self.loaded) = (None, None);
                }
            }
            _ => {}
        }
    }

    fn migration(&self, word: &Value) {
        let is_out = word.get("side").and_then(Value::as_str) == Some("out");
        match word.get("event").and_then(Value::as_str) {
            Some("round") => self.line(&format!(
                "  round   {} in {}, {} written meanwhile{}",
                HumanBytes(count(word, "/gone")),
                time(number(word, "/took")),
                HumanBytes(count(word, "/left")),
                match count(word, "/throttled") {
                    0 => String::new(),
                    percent => format!(", guest throttled by {percent} %"),
                }
            )),
            Some("progress") if is_out => {
                self.bar.set_length(count(word, "/total").max(1));
                self.bar.set_position(count(word, "/total").saturating_sub(count(word, "/remaining")));
                let bytes = HumanBytes(count(word, "/bytes"));
                self.bar.set_message(format!("{bytes}, {} pages again", count(word, "/again")));
            }
            Some("state") if is_out => {
                if let Some(state @ ("postcopy-device" | "postcopy-active")) =
                    word.get("state").and_then(Value::as_str)
                {
                    let runs = if state == "postcopy-active" { "runs on" } else { "is handed over to" };
                    let (from, to) = (&self.source, &self.destination);
                    self.line(&format!(
                        "  {state}  the guest {runs} {to}, what it wrote since round 1 is on {from}"
                    ));
                }
            }
            Some("warning") => {
                let what = word.get("what").and_then(Value::as_str).unwrap_or_default();
                self.line(&format!("  {DOUBTFUL}warning{DOUBTFUL:#}  {what}"));
            }
            _ => {}
        }
    }

    /// A step of a procedure: told of the first move only, they are always the same.
    fn step(&self, word: &Value) {
        let Ok(Step { procedure, section, layer, step }) = Step::deserialize_from(word) else { return };
        if self.hop > 1 {
            return;
        }
        if section.is_empty() {
            self.line(&format!("            {layer:10} {step}"));
        } else {
            self.line(&format!("  {procedure}    {HEADING}{section}{HEADING:#}"));
        }
    }

    /// What post-copy saves the guest.
    pub(super) fn compares(&self) {
        let [postcopy, precopy] = self.downtimes.each_ref().map(|times| median(times));
        let (Some(postcopy), Some(precopy)) = (postcopy, precopy) else { return };
        self.object(&json!({ "word": "downtimes", "postcopy": postcopy, "precopy": precopy }));
        self.bar.finish_and_clear();
        self.line(&format!(
            "\n{HEADING}downtime{HEADING:#}  by post-copy {}, by pre-copy {} (medians)",
            time(postcopy),
            time(precopy)
        ));
    }

    /// It is over.
    pub(super) fn ends(&self, ended: &Ended, stream: &Path) {
        self.bar.finish_and_clear();
        if self.json {
            return self.object(&json!(ended));
        }
        let Ended { report, proof, .. } = ended;
        self.line(&format!("\n{HEADING}proof{HEADING:#}  after {}", moves(ended.hops)));
        let done = |queues: &[StorageReport]| {
            let sum = |of: fn(&StorageReport) -> u64| queues.iter().map(of).sum::<u64>();
            format!("{} records written, {} read back and checked", sum(|it| it.written), sum(|it| it.read))
        };
        for (what, text) in [
            ("disk", done(&report.blk)),
            ("SCSI disks", format!("{}; {} tasks asked for", done(&report.scsi), report.tasks)),
            ("images", format!("{} records are the last of their place", proof.records)),
            ("console", format!("{} lines, each once and in order", proof.lines)),
            (
                "network",
                format!(
                    "{} frames answered, {} sent again; {} commands, {} announcements",
                    report.frames, report.frames_again, report.controls, report.announced
                ),
            ),
            (
                "sockets",
                format!(
                    "{} messages to an echo and back, each once and in order; {} connections, {} resets of the transport",
                    report.messages, report.connections, report.transport_resets
                ),
            ),
            ("keyboard", format!("{} keys, each followed by its light", report.keys)),
            (
                "balloon",
                format!(
                    "{} pages given, {} taken back; the others are as they were",
                    report.inflated, report.deflated
                ),
            ),
            ("memory", format!("{} writes to its pages, each checked before the next", report.page_writes)),
            ("interrupts", format!("{} lost", report.lost_interrupts)),
        ] {
            self.line(&format!("  {what:10} {text}"));
        }
        for problem in &proof.problems {
            self.line(&format!("  {BAD}problem{BAD:#}    {problem}"));
        }
        let verdict = match proof.problems.is_empty() {
            true => format!("{GOOD}nothing was lost, nothing came twice, nothing was damaged{GOOD:#}"),
            false => format!("{BAD}{} problems{BAD:#}", proof.problems.len()),
        };
        self.line(&format!("  {verdict} ({:.1} s)", ended.seconds));
        let stream = stream.display();
        self.line(&format!("\nThe stream of the last move is in {stream}:\n  vmig inspect {stream}\n  vmig report {stream} -o demo.html"));
    }
}

impl Step {
    fn deserialize_from(word: &Value) -> serde_json::Result<Self> {
        serde::Deserialize::deserialize(word)
    }
}

/// Where the downtime went, device by device.
fn table(saved: &Value, loaded: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["  downtime", "", "saved in", "sent in", "loaded in"]);
    let devices =
        |word: &Value| word.get("device_times").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_late = saved.get("postcopy").is_some();
    let ram = time(number(saved, "/ram"));
    let what = if is_late { "  what is out of date of RAM" } else { "  last of RAM" };
    table.add_row([what.to_owned(), String::new(), String::new(), ram, String::new()]);
    for (saved, loaded) in devices(saved).iter().zip(devices(loaded)) {
        let name = saved.get("name").and_then(Value::as_str).unwrap_or_default();
        table.add_row([
            format!("  {name}"),
            HumanBytes(count(saved, "/bytes")).to_string(),
            time(number(saved, "/save")),
            time(number(saved, "/transfer")),
            time(number(&loaded, "/load")),
        ]);
    }
    let all = time(number(saved, "/downtime"));
    let what = if is_late { "  in all, until it was there" } else { "  in all, to the acknowledgement" };
    table.add_row([what.to_owned(), String::new(), String::new(), all, String::new()]);
    for column in 1..=4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let followed = if is_late { followed(saved, loaded) } else { String::new() };
    format!("{table}{followed}")
}

/// What followed the guest, and what it waited for.
fn followed(saved: &Value, loaded: &Value) -> String {
    format!(
        "\n  followed it: {}; {} pages were asked for, and were there in {} (median), {} at most",
        HumanBytes(count(saved, "/postcopy/bytes")),
        count(loaded, "/postcopy/requested"),
        time(number(loaded, "/postcopy/median")),
        time(number(loaded, "/postcopy/longest")),
    )
}

/// The median of some times.
fn median(times: &[f64]) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

fn moves(count: u32) -> String {
    if count == 1 { "1 move".to_owned() } else { format!("{count} moves") }
}

/// What a choice is called on the command line.
fn word(choice: impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
}

fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn time(seconds: f64) -> String {
    crate::live::time(Duration::from_secs_f64(seconds.max(0.0)))
}
