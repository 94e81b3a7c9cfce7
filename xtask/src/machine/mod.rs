//! A running machine: QEMU as a child process, its QMP, its console. Dropping it ends the process.

pub(crate) mod beats;
pub(crate) mod command;
pub(crate) mod live;
pub(crate) mod signal;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::beats::Beats;
use self::command::{DISKS, End, HOPS};
use crate::cases::{Case, Device};
use crate::guest::Guest;
use crate::qemu::Qemu;
use crate::qemu::qmp::{Qmp, text};
use crate::{tools, workspace};

/// Limits on waiting. Emulation on two busy cores is slow; a machine that hangs still has an end.
const TO_START: Duration = Duration::from_secs(60);
const TO_BEAT: Duration = Duration::from_secs(420);
const TO_MIGRATE: Duration = Duration::from_secs(240);

/// The name of the second QMP socket, beside that of the machine's own.
const SECOND: &str = "qmp2";

/// How often something is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(200);

/// Size of a disk image: the 256 blocks of 4 KiB that the guest writes in turn.
const DISK_BYTES: usize = 256 * 4096;

/// Everything that both ends of a case share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) case: &'static Case,
    pub(crate) dir: PathBuf,
    pub(crate) machine_type: String,
    guest: Guest,
}

impl Site {
    /// Lays out a case's directory: the guest and empty disks.
    pub(crate) fn new(case: &'static Case, dir: &Path, source: &Qemu) -> Result<Self> {
        if dir.exists() {
            std::fs::remove_dir_all(dir)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot empty {}", dir.display()))?;
        }
        workspace::create_dir(dir)?;
        for disk in DISKS {
            workspace::write(&dir.join(disk), vec![0; DISK_BYTES])?;
        }
        let guest = Guest::build(case.arch(), dir)?;
        Ok(Self { case, dir: dir.to_owned(), machine_type: command::machine_type(case, source), guest })
    }

    /// The beats on the consoles of all ends; once the guest says what it works, it has to be all.
    pub(crate) fn beats(&self) -> Result<Beats> {
        let beats = Beats::read(&self.output("serial"))?;
        let expected = self.case.in_guest();
        if beats.last > 0 && !beats.devices.split_whitespace().eq(expected.iter().copied()) {
            let expected = expected.join(" ");
            return Err(miette!("the guest was expected to work {expected}, it found {}", beats.devices));
        }
        Ok(beats)
    }

    /// The MAC addresses that the guest saw its network device have, in turn.
    pub(crate) fn macs(&self) -> Result<Vec<String>> {
        self.beats().map(|beats| beats.macs)
    }

    /// Sees that the console port, if there is one, has carried a line for every beat.
    pub(crate) fn check_port(&self, beats: &Beats) -> Result<()> {
        if !self.case.devices.contains(&Device::Console) {
            return Ok(());
        }
        let output = self.output("port");
        for number in 1..=beats.last {
            let line =
                output.lines().nth(usize::try_from(number - 1).unwrap_or(usize::MAX)).unwrap_or("nothing");
            if line != format!("beat {number}") {
                return Err(miette!(
                    "the console port was expected to carry `beat {number}`, it carried `{line}`"
                ));
            }
        }
        Ok(())
    }

    /// What all ends have written to a file, one after the other as the guest came to them.
    fn output(&self, kind: &str) -> String {
        let ends = [End::Source.name(), End::Destination("").name()].into_iter().chain(HOPS);
        let bytes: Vec<_> = ends
            .map(|end| std::fs::read(self.dir.join(format!("{end}.{kind}"))).unwrap_or_default())
            .collect();
        String::from_utf8_lossy(&bytes.concat()).into_owned()
    }
}

/// A QEMU process of a case.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    site: &'a Site,
    end: &'static str,
    child: Child,
    qmp: Qmp,
    command_line: Vec<String>,
    sockets: TempDir,
}

impl<'a> Machine<'a> {
    /// Starts QEMU as one end of a case.
    pub(crate) fn start(site: &'a Site, qemu: &Qemu, end: End<'_>) -> Result<Self> {
        // Not in the case's directory: the path of a Unix socket has at most 107 bytes.
        let socket_dir = TempDir::with_prefix("vmig-").into_diagnostic()?;
        let socket = socket_dir.path().join("qmp");
        let mut command = qemu.command()?;
        command.current_dir(&site.dir);
        command::arguments(&mut command, site.case, &site.machine_type, &site.guest, end);
        for socket in [&socket, &socket_dir.path().join(SECOND)] {
            command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        }
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let command_line = words.map(|word| word.to_string_lossy().into_owned()).collect();
        let errors =
            std::fs::File::create(site.dir.join(format!("{}.stderr", end.name()))).into_diagnostic()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .into_diagnostic()
            .wrap_err_with(|| tools::cannot_start(&command))?;
        let mut guard = Guard(Some(child));
        let qmp = guard.connect(&socket).wrap_err_with(|| said(&site.dir, end.name()))?;
        let child = guard.0.take().ok_or_else(|| miette!("QEMU ended"))?;
        Ok(Self { site, end: end.name(), child, qmp, command_line, sockets: socket_dir })
    }

    /// A QMP socket that nobody is connected to: QEMU speaks with one client on each.
    pub(crate) fn second_socket(&self) -> PathBuf {
        self.sockets.path().join(SECOND)
    }

    /// The command line QEMU was started with.
    pub(crate) fn command_line(&self) -> &[String] {
        &self.command_line
    }

    /// Waits until the guest has beaten up to a number.
    pub(crate) fn wait_for_beat(&mut self, number: u64) -> Result<Beats> {
        let site = self.site;
        let what =
            || format!("beat {number} (beat {} was the last)", site.beats().map_or(0, |beats| beats.last));
        self.wait(TO_BEAT, what, |_machine| {
            let beats = site.beats()?;
            Ok((beats.last >= number).then_some(beats))
        })
    }

    /// Lets a stopped guest go on.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.command("cont", &Value::Null).map(drop)
    }

    /// Lets the guest work all its devices up to a beat, then stops it.
    pub(crate) fn work_and_stop(&mut self, beat: u64) -> Result<()> {
        self.work(beat)?;
        self.command("stop", &Value::Null).map(drop)
    }

    /// Lets the guest work all its devices up to a beat.
    pub(crate) fn work(&mut self, beat: u64) -> Result<()> {
        self.wait_for_beat(2)?;
        if self.site.case.devices.contains(&Device::Balloon) {
            self.balloon(command::memory(self.site.case.board).1)?;
        }
        if self.site.case.devices.contains(&Device::Input) {
            self.press_key()?;
        }
        self.wait_for_beat(beat).map(drop)
    }

    /// Deflates the balloon, if there is one.
    pub(crate) fn take_memory_back(&mut self) -> Result<()> {
        if self.site.case.devices.contains(&Device::Balloon) {
            self.balloon(command::memory(self.site.case.board).0)?;
        }
        Ok(())
    }

    /// Has the guest give back memory, or take it again, until it has this much.
    fn balloon(&mut self, mebibytes: u64) -> Result<()> {
        let bytes = mebibytes << 20;
        self.command("balloon", &json!({ "value": bytes }))?;
        self.wait(
            TO_BEAT,
            || format!("the balloon to leave {mebibytes} MiB"),
            |machine| {
                let balloon = machine.command("query-balloon", &Value::Null)?;
                Ok((balloon.get("actual").and_then(Value::as_u64) == Some(bytes)).then_some(()))
            },
        )
    }

    /// Presses a key, which the keyboard puts into its event queue.
    fn press_key(&mut self) -> Result<()> {
        self.command("send-key", &json!({ "keys": [{ "type": "qcode", "data": "a" }] })).map(drop)
    }

    /// Runs a QMP command; an error carries what QEMU said last on its standard error.
    pub(crate) fn command(&mut self, name: &str, arguments: &Value) -> Result<Value> {
        self.qmp.command(name, arguments).wrap_err_with(|| said(&self.site.dir, self.end))
    }

    /// Writes the stopped machine to a file of the case's directory.
    pub(crate) fn save(&mut self, file: &str) -> Result<()> {
        self.command("migrate", &json!({ "uri": format!("exec:cat > {file}") }))?;
        self.wait(
            TO_MIGRATE,
            || "the migration to complete".to_owned(),
            |machine| {
                let status = machine.command("query-migrate", &Value::Null)?;
                match text(&status, "status") {
                    "completed" => Ok(Some(())),
                    "failed" | "cancelled" => {
                        Err(miette!("the migration was expected to complete, QEMU says {status}"))
                    }
                    _ => Ok(None),
                }
            },
        )
    }

    /// Waits until a destination has loaded its stream; it then stands still, as its source did.
    pub(crate) fn wait_until_loaded(&mut self) -> Result<()> {
        self.wait(
            TO_MIGRATE,
            || "the stream to be loaded".to_owned(),
            |machine| {
                let status = machine.command("query-status", &Value::Null)?;
                match text(&status, "status") {
                    "inmigrate" => Ok(None),
                    "paused" | "postmigrate" => Ok(Some(())),
                    _ => Err(miette!("a paused machine was expected after loading, QEMU says {status}")),
                }
            },
        )
    }

    /// Has a waiting destination load a stream; what it says if it does not, by which it ends itself.
    pub(crate) fn load(&mut self, file: &str) -> Result<Option<String>> {
        self.command("migrate-incoming", &json!({ "uri": format!("exec:cat {file}") }))?;
        let start = Instant::now();
        while start.elapsed() <= TO_MIGRATE {
            let ended = self.child.try_wait().into_diagnostic()?;
            if let Some(status) = ended {
                let path = self.site.dir.join(format!("{}.stderr", self.end));
                let said = String::from_utf8_lossy(&workspace::read(&path)?).into_owned();
                return match status.code() {
                    Some(1) => Ok(Some(said)),
                    _ => {
                        Err(miette!("QEMU ended with {status} on a stream it was to load or refuse: {said}"))
                    }
                };
            }
            // An answer that does not come any more is that of a QEMU that is about to end.
            let status = self.command("query-status", &Value::Null).unwrap_or_default();
            if ["paused", "postmigrate"].contains(&text(&status, "status")) {
                return Ok(None);
            }
            sleep(GLANCE);
        }
        Err(miette!("waited {} s for a stream to be loaded", TO_MIGRATE.as_secs()))
    }

    /// Whether QEMU has ended.
    fn has_ended(&mut self) -> Result<bool> {
        self.child.try_wait().into_diagnostic().map(|ended| ended.is_some())
    }

    /// Ends QEMU in good order, so that it lets go of its disks.
    pub(crate) fn quit(mut self) -> Result<()> {
        self.command("quit", &Value::Null)?;
        self.child.wait().into_diagnostic().map(drop)
    }

    /// Looks at something again and again until it is there, the time is over, or QEMU has ended.
    fn wait<T>(
        &mut self,
        limit: Duration,
        what: impl Fn() -> String,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().into_diagnostic()? {
                return Err(miette!("QEMU ended with {status} while waiting for {}", what()))
                    .wrap_err_with(|| said(&self.site.dir, self.end));
            }
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if start.elapsed() > limit {
                return Err(miette!("waited {} s for {}", limit.as_secs(), what()))
                    .wrap_err_with(|| said(&self.site.dir, self.end));
            }
            sleep(GLANCE);
        }
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A child process that is ended unless it is taken out.
struct Guard(Option<Child>);

impl Guard {
    /// Waits for QEMU to open its QMP socket.
    fn connect(&mut self, socket: &Path) -> Result<Qmp> {
        let start = Instant::now();
        loop {
            let ended = self.0.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                return Err(miette!("QEMU ended with {status} right after its start"));
            }
            if socket.exists() || start.elapsed() > TO_START {
                sleep(GLANCE);
                return Qmp::connect(socket);
            }
            sleep(GLANCE);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

/// Ends a child and collects it. Both fail only if it has ended already, which is as well.
fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

/// What an end said last, on standard error and on the console.
fn said(dir: &Path, end: &str) -> String {
    let tail = |kind: &str| {
        let bytes = std::fs::read(dir.join(format!("{end}.{kind}"))).unwrap_or_default();
        tools::tail(&String::from_utf8_lossy(&bytes))
    };
    let errors = tail("stderr");
    let errors = if errors.is_empty() { "QEMU said nothing" } else { &errors };
    let console = tail("serial");
    let console = console.lines().next_back().unwrap_or("nothing");
    format!("at the {end}: {errors}; last on the console: {console}")
}
