//! `vmig profile`: a destination, recorded once.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use compat::profile::{Profile, QmpRecord, ask, from_qmp_record, from_stream};
use serde_json::Value;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::{write_json, write_to};

/// Record a destination, for `vmig check --onto`
///
/// Start the destination as it will be, with -S or -incoming defer. A stream it writes right then tells
/// its sections, PCI configuration and queues; asked over QMP it tells the features of each device and its
/// version. Both together make a profile that leaves nothing open.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig profile fresh.mig qmp:/run/qemu/vm1.qmp -o dest.json    from both
  vmig profile fresh.mig -o dest.json                          from a stream the destination wrote
  vmig profile CASE.json CASE.mig.zst -o dest.json             from recorded answers and a stream
  vmig check guest.mig --onto dest.json

Exit status: 0 the profile was written; 2 a source could not be read.")]
pub(crate) struct ProfileVerb {
    /// Streams, recorded answers (JSON), profiles, and QMP sockets (qmp:PATH) of one destination
    #[arg(required = true)]
    sources: Vec<String>,
    /// Where to write the profile; standard output if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ProfileVerb {
    pub(crate) fn run(&self) -> Outcome {
        let mut profile = Profile::default();
        for source in &self.sources {
            profile = profile.merge(read(source)?);
        }
        write_to(self.output.as_deref(), |out| write_json(&profile, out))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What a waiting QEMU takes at most to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a profile of a stream, recorded answers, a profile, or a QMP socket.
pub(crate) fn read(source: &str) -> Result<Profile, Failure> {
    let failed = |error: String| Failure::State { file: source.to_owned(), error };
    if let Some(path) = source.strip_prefix("qmp:") {
        let socket = UnixStream::connect(path).and_then(|socket| {
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        let socket = socket.map_err(|error| failed(format!("cannot connect: {error}")))?;
        let record = ask(socket).map_err(|error| failed(error.to_string()))?;
        return Ok(from_qmp_record(&record));
    }
    if source != "-" && is_json(source) {
        let text = std::fs::read(source).map_err(|error| failed(error.to_string()))?;
        let json: Value = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        if Profile::is_profile(&json) {
            return Profile::from_json(json).map_err(|error| failed(error.to_string()));
        }
        if json.get("qtree").or(json.get("info_qtree")).is_none() {
            return Err(failed(
                "neither a profile nor recorded answers of QEMU (`qtree` is missing)".to_owned(),
            ));
        }
        let record: QmpRecord = serde_json::from_value(json).map_err(|error| failed(error.to_string()))?;
        return Ok(from_qmp_record(&record));
    }
    let input = Input::open_whole(source)?;
    Ok(from_stream(&input.stream, &input.guest))
}

/// Whether a file holds a JSON object.
fn is_json(path: &str) -> bool {
    let mut start = [0; 64];
    let Ok(read) = std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut start))
    else {
        return false;
    };
    start.get(..read).unwrap_or_default().trim_ascii_start().starts_with(b"{")
}
