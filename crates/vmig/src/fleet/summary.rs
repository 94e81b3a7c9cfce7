//! How many of a fleet there are of each verdict.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use compat::verdict::Outcome as Answer;
use serde::Serialize;

use super::row::{NO_STREAM, Row, UNREADABLE};
use crate::render::style::{BAD, DIM, DOUBTFUL, GOOD};

/// Counts of rows.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    /// By verdict.
    verdicts: BTreeMap<&'static str, u64>,
    /// By the code of the first reason, of guests only.
    codes: BTreeMap<String, u64>,
}

impl Summary {
    pub(super) fn add(&mut self, row: &Row) {
        *self.verdicts.entry(row.verdict).or_default() += 1;
        if let Some(code) = row.code.as_ref().filter(|_| row.verdict != NO_STREAM) {
            *self.codes.entry(code.clone()).or_default() += 1;
        }
    }

    fn count(&self, verdict: &str) -> u64 {
        self.verdicts.get(verdict).copied().unwrap_or_default()
    }

    /// Rows that are about a guest.
    pub(super) fn guests(&self) -> u64 {
        self.verdicts.values().sum::<u64>() - self.count(NO_STREAM)
    }

    /// Files that are no streams.
    pub(super) fn others(&self) -> u64 {
        self.count(NO_STREAM)
    }

    /// That of the worst of all.
    pub(super) fn exit_code(&self) -> ExitCode {
        let is_there = |verdict| self.count(verdict) > 0;
        ExitCode::from(if is_there(Answer::Refused.name()) {
            1
        } else if is_there(UNREADABLE) || is_there(Answer::CannotTell.name()) {
            2
        } else {
            0
        })
    }

    /// Says it to people.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{} guests: ", self.guests())?;
        let kinds = [
            (Answer::Loads.name(), GOOD, "load"),
            (Answer::Refused.name(), BAD, "will not load"),
            (Answer::CannotTell.name(), DOUBTFUL, "cannot be told"),
            (UNREADABLE, BAD, "cannot be read"),
        ];
        let mut separator = "";
        for (verdict, style, text) in kinds {
            let count = self.count(verdict);
            if count > 0 {
                write!(out, "{separator}{style}{count} {text}{style:#}")?;
                separator = ", ";
            }
        }
        writeln!(out)?;
        if !self.codes.is_empty() {
            let mut codes: Vec<_> = self.codes.iter().collect();
            codes.sort_by_key(|&(code, count)| (std::cmp::Reverse(count), code));
            let codes: Vec<String> = codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
            writeln!(out, "first reasons: {}  {DIM}vmig explain CODE{DIM:#}", codes.join(", "))?;
        }
        match self.others() {
            0 => Ok(()),
            1 => writeln!(out, "1 file is no stream"),
            others => writeln!(out, "{others} files are no streams"),
        }
    }
}
