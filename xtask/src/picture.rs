//! `cargo xtask picture`: what the README shows, made by the programs that it speaks of.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use miette::{IntoDiagnostic, Result};
use tempfile::TempDir;

use crate::{tools, vmig, workspace};

/// Where the pictures are.
const PICTURES: &str = "docs/pictures";
/// The stream whose report is shown.
const STREAM: &str = "fixtures/x86-q35-kitchen-q10.0.mig.zst";
/// Width and height of what is shown of the report, in pixels.
const WINDOW: &str = "--window-size=1100,900";

/// Make the pictures of the README: `vmig demo` in a terminal, and a report
///
/// The report is drawn by Chromium (Debian's package of that name), which has to be there.
#[derive(Debug, Args)]
pub(crate) struct Picture {
    /// The vmig to use [default: the one of this workspace, built first]
    #[arg(long, value_name = "FILE")]
    vmig: Option<PathBuf>,
    /// The browser
    #[arg(long, value_name = "FILE", default_value = "chromium")]
    browser: PathBuf,
}

impl Picture {
    /// Makes them.
    pub(crate) fn run(&self) -> Result<()> {
        let vmig = vmig::program(self.vmig.as_deref())?;
        let pictures = workspace::root()?.join(PICTURES);
        workspace::create_dir(&pictures)?;
        let place = TempDir::with_prefix("vmig-picture-").into_diagnostic()?;
        let demo = demo(&vmig, place.path())?;
        workspace::write(&pictures.join("demo.svg"), anstyle_svg::Term::new().render_svg(&demo))?;
        self.report(&vmig, place.path(), &pictures.join("report.png"))
    }

    fn report(&self, vmig: &Path, dir: &Path, picture: &Path) -> Result<()> {
        let page = dir.join("report.html");
        let mut report = Command::new(vmig);
        report.arg("report").arg(STREAM).arg("-o").arg(&page).current_dir(workspace::root()?);
        tools::output(&mut report)?;
        let mut browser = Command::new(&self.browser);
        browser.args(["--headless", "--no-sandbox", "--hide-scrollbars", WINDOW]);
        browser.arg(format!("--screenshot={}", picture.display()));
        browser.arg(format!("--user-data-dir={}", dir.join("browser").display()));
        tools::output(browser.arg(format!("file://{}", page.display()))).map(drop)
    }
}

/// What `vmig demo` prints; of the devices whose steps are all alike, only the first has them.
fn demo(vmig: &Path, dir: &Path) -> Result<String> {
    let arguments = ["--color", "always", "demo", "--hops", "1"];
    let printed = tools::output(Command::new(vmig).args(arguments).current_dir(dir))?;
    let mut shown = String::from("$ vmig demo --hops 1\n");
    let mut stage = "";
    let mut devices = 0;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    for line in printed.lines() {
        let is_step = line.starts_with("            ");
        if let Some(now) = ["save", "load"].into_iter().find(|name| line.trim_start().starts_with(name)) {
            devices = if stage == now { devices } else { 0 };
            stage = now;
            devices += usize::from(line.contains("/virtio-"));
        }
        if !is_step || devices < 2 {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    Ok(shown)
}
