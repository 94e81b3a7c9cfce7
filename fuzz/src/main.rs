//! libFuzzer, with one of the targets: the one that `VMIG_FUZZ` names.
//!
//! With `VMIG_FUZZ_SEEDS=FOLDER` it writes the seeds of every target to `FOLDER/TARGET/NUMBER` instead, says
//! `TARGET LONGEST` for each, and ends.
#![no_main]
#![expect(clippy::panic, clippy::unwrap_used, reason = "there is nobody to whom an error could be returned")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use fuzz::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("VMIG_FUZZ").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("VMIG_FUZZ is `{name}`, expected the name of a target"))
});

fn write_seeds(folder: &Path) {
    for target in fuzz::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
        println!("{} {}", target.name, target.longest);
    }
}

libfuzzer_sys::fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("VMIG_FUZZ_SEEDS") {
            write_seeds(Path::new(&folder));
            std::process::exit(0);
        }
    },
    |bytes: &[u8]| (TARGET.run)(bytes)
);
