//! Every target keeps its promises for its seeds, and for what is in the tree: `corpus/TARGET` is what led to code
//! that others did not reach, `found/TARGET` is what once broke a promise.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

#[test]
fn every_target_keeps_its_promises() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in fuzz::TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        seeds.iter().for_each(|seed| (target.run)(seed));
        for folder in ["corpus", "found"] {
            let Ok(files) = fs::read_dir(here.join(folder).join(target.name)) else { continue };
            for file in files {
                let path = file.unwrap().path();
                println!("{}", path.display());
                (target.run)(&fs::read(path).unwrap());
            }
        }
    }
}
