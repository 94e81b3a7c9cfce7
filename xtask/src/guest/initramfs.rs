//! The guest's initramfs: a gzip-compressed cpio archive in the `newc` format that Linux unpacks.

use std::io::Write as _;

use cpio::newc::{Builder, ModeFileType, trailer};
use flate2::Compression;
use flate2::write::GzEncoder;
use miette::{IntoDiagnostic, Result, WrapErr};

use super::modules::Module;

/// Directories the archive holds.
const DIRECTORIES: [&str; 7] = ["bin", "dev", "lib", "proc", "sys", "tmp", "run"];

/// Builds the archive. The modules' load order is the list in `/lib/order`.
pub(crate) fn archive(init: &str, busybox: &[u8], modules: &[Module]) -> Result<Vec<u8>> {
    let mut archive = Archive { out: GzEncoder::new(Vec::new(), Compression::fast()), inode: 0 };
    for directory in DIRECTORIES {
        archive.add(directory, ModeFileType::Directory, 0o755, &[])?;
    }
    archive.add("init", ModeFileType::Regular, 0o755, init.as_bytes())?;
    archive.add("bin/busybox", ModeFileType::Regular, 0o755, busybox)?;
    let mut order = String::new();
    for module in modules {
        archive.add(&format!("lib/{}.ko", module.name), ModeFileType::Regular, 0o644, &module.content)?;
        order.push_str(&module.name);
        order.push('\n');
    }
    archive.add("lib/order", ModeFileType::Regular, 0o644, order.as_bytes())?;
    archive.finish()
}

struct Archive {
    out: GzEncoder<Vec<u8>>,
    inode: u32,
}

impl Archive {
    fn add(&mut self, name: &str, kind: ModeFileType, mode: u32, content: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len())
            .into_diagnostic()
            .wrap_err_with(|| format!("{name} is too large"))?;
        let header = Builder::new(name).ino(self.inode).nlink(1).mode(mode).set_mode_file_type(kind);
        let mut entry = header.write(&mut self.out, size);
        entry.write_all(content).into_diagnostic()?;
        entry.finish().into_diagnostic()?;
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>> {
        trailer(self.out).into_diagnostic()?.finish().into_diagnostic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_what_was_put_in() {
        let module = Module { name: "virtio_blk".to_owned(), content: vec![7; 100] };
        let bytes = archive("#!/bin/sh\n", b"busybox", &[module]).unwrap();
        let mut input: Box<dyn std::io::Read> = Box::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut names = Vec::new();
        loop {
            let reader = cpio::newc::Reader::new(input).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            names.push(reader.entry().name().to_owned());
            input = reader.finish().unwrap();
        }
        assert_eq!(names[DIRECTORIES.len()..], ["init", "bin/busybox", "lib/virtio_blk.ko", "lib/order"]);
    }
}
