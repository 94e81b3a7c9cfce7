//! Writes the seeds of every target to `FOLDER/TARGET/NUMBER`, and says `TARGET LONGEST` for each.
#![expect(clippy::unwrap_used, reason = "what cannot be written ends it")]

use std::fs;
use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    for target in fuzz::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
        println!("{} {}", target.name, target.longest);
    }
}
