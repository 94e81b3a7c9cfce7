//! The verbs, one file each, and how they fail.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod encode;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod profile;
pub(crate) mod receive;
pub(crate) mod redact;
pub(crate) mod relay;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod send;
pub(crate) mod verify;

use std::io;
use std::process::ExitCode;

use compat::edit::EditError;
use vmstate::Code;
use vmstate::stream::WriteError;

use crate::render::style;

/// What a verb returns: the exit code, or what kept it from its work.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// What kept a verb from its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The input cannot be opened.
    #[error(transparent)]
    Open(#[from] image::Error),
    /// The input cannot be read as a stream.
    #[error("{file}: {error}")]
    Stream { file: String, error: vmstate::Error },
    /// The output cannot be written.
    #[error("cannot write {file}: {error}")]
    Write { file: String, error: io::Error },
    /// A stream cannot be written as it would have to be.
    #[error("cannot write {file}: {error}")]
    Rewrite { file: String, error: WriteError },
    /// The arguments name something that is not there.
    #[error("{0}")]
    NotThere(String),
    /// State in JSON is not what it should be.
    #[error("{file}: {error}")]
    State { file: String, error: String },
    /// A migration was given up.
    #[error(transparent)]
    Migration(migration::Error),
    /// A change cannot be made.
    #[error("{0}")]
    Edit(#[from] EditError),
}

impl Failure {
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Migration(error) => Some(error.cause.code()),
            Self::Stream { error, .. } => Some(error.code()),
            _ => None,
        }
    }

    /// Says on standard error what went wrong. Nobody is told that nobody reads the output.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Self::Write { error, .. } if error.kind() == io::ErrorKind::BrokenPipe) {
            let code = self.code().map(|code| format!("[{code}]")).unwrap_or_default();
            anstream::eprintln!("{}error{code}{:#}: {self}", style::BAD, style::BAD);
        }
        ExitCode::from(2)
    }
}
