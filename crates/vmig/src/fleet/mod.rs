//! A fleet: every stream below a folder, checked against one destination with all cores.
//!
//! Each core takes the next file, and gives the stream back before it takes another, so that memory is that
//! of a few streams however many there are. Rows come out in the order of names.

mod output;
mod row;
mod shard;
mod summary;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;
use compat::profile::Profile;
use image::Entry;
use indicatif::{ProgressBar, ProgressStyle};
use row::Row;
use shard::Shard;
use summary::Summary;

use crate::output::{print, write_file};
use crate::verb::{Failure, Outcome};

/// Which streams, and how their rows are written.
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    /// Check every stream below a folder: one row for each guest
    #[arg(long = "fleet", value_name = "DIR")]
    root: Option<String>,
    /// Check only one part of the fleet, as 3/16: each file belongs to one part, by its path below DIR
    #[arg(long, value_name = "PART/PARTS", requires = "root")]
    shard: Option<Shard>,
    /// How many streams are checked at once; as many as there are cores if not given
    #[arg(long, value_name = "N", requires = "root")]
    jobs: Option<NonZero<usize>>,
    /// Print each row as a line of JSON, as soon as those before it are there
    #[arg(long, requires = "root", conflicts_with_all = ["json", "parquet"])]
    jsonl: bool,
    /// Write the rows to a Parquet file
    #[arg(long, value_name = "FILE", requires = "root", conflicts_with = "json")]
    parquet: Option<PathBuf>,
}

impl Fleet {
    /// Checks the fleet, if there is one; with `json`, shows it as one JSON object.
    pub(crate) fn run(&self, destination: &Profile, json: bool) -> Option<Outcome> {
        self.root.as_deref().map(|root| self.check(root, destination, json))
    }

    fn check(&self, root: &str, destination: &Profile, json: bool) -> Outcome {
        let mut files = image::list(root)?;
        files.retain(|entry| self.shard.is_none_or(|shard| shard.has(&entry.name)));
        let rows = |each: &mut dyn FnMut(Row) -> io::Result<()>| self.rows(&files, destination, each);
        let mut summary = Summary::default();
        if let Some(path) = &self.parquet {
            write_file(path, |out| {
                let mut file = output::ParquetRows::new(out)?;
                summary = rows(&mut |row| file.add(row))?;
                file.finish()
            })?;
            print(|out| summary.print(out))?;
        } else if self.jsonl {
            print(|out| {
                summary = rows(&mut |row| output::json_line(&row, out))?;
                Ok(())
            })?;
        } else {
            print(|out| {
                let mut all = Vec::new();
                summary = rows(&mut |row| {
                    all.push(row);
                    Ok(())
                })?;
                if json {
                    return output::json(&all, &summary, out);
                }
                output::table(&all, out)?;
                summary.print(out)
            })?;
        }
        if summary.guests() == 0 && self.shard.is_none() {
            let others = summary.others();
            let text = format!("{root} has no stream; of the files below it, {others} are something else");
            return Err(Failure::NotThere(text));
        }
        Ok(summary.exit_code())
    }

    /// Checks files, hands out the rows in their order, and counts them.
    fn rows(
        &self,
        files: &[Entry],
        destination: &Profile,
        each: &mut dyn FnMut(Row) -> io::Result<()>,
    ) -> io::Result<Summary> {
        let cores = || thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        let jobs = self.jobs.unwrap_or_else(cores).get().min(files.len().max(1));
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::sync_channel(jobs);
        let progress = progress(files.len());
        let mut summary = Summary::default();
        thread::scope(|scope| {
            for _ in 0..jobs {
                let (next, sender) = (&next, sender.clone());
                scope.spawn(move || {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(place) else { break };
                        // Nobody listens once the output has failed.
                        if sender.send((place, row::check(file, destination))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut early = BTreeMap::new();
            let mut wanted = 0;
            for (place, rows) in receiver {
                progress.inc(1);
                early.insert(place, rows);
                while let Some(rows) = early.remove(&wanted) {
                    wanted += 1;
                    for row in rows {
                        summary.add(&row);
                        each(row)?;
                    }
                }
            }
            io::Result::Ok(())
        })?;
        progress.finish_and_clear();
        Ok(summary)
    }
}

/// A bar on standard error, if that is a terminal.
fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    let style = ProgressStyle::with_template("{spinner} {bar:30} {pos} of {len} files, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
