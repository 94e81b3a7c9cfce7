//! The kernel modules the guest loads, with all they depend on, in the order to load them.
//!
//! Debian makes `modules.dep` when a kernel is installed; this one never is. So dependencies are
//! read where depmod reads some of them: the `depends=` entry of each module's `.modinfo` section.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use object::{Object as _, ObjectSection as _};

use crate::workspace;

/// A module, decompressed.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

/// The wanted modules and those they need, needed ones first. A wanted module that this kernel has
/// built in, or does not have on this architecture, is left out; a needed one has to be there.
pub(crate) fn closure(dir: &Path, wanted: &[&str]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    collect(dir, &mut files)?;
    if files.is_empty() {
        return Err(miette!(
            "no kernel module under {}; the kernel's package was expected to hold some",
            dir.display()
        ));
    }
    let mut loaded = Vec::new();
    for name in wanted {
        let name = canonical(name);
        if files.contains_key(&name) {
            load(&name, &files, &mut loaded)?;
        }
    }
    Ok(loaded)
}

/// Appends a module after those it depends on.
fn load(name: &str, files: &BTreeMap<String, PathBuf>, loaded: &mut Vec<Module>) -> Result<()> {
    if loaded.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let Some(file) = files.get(name) else {
        return Err(miette!("a module depends on `{name}`, which is not among the kernel's modules"));
    };
    let content = decompress(file)?;
    for needed in depends(&content).wrap_err_with(|| format!("cannot read {}", file.display()))? {
        load(&needed, files, loaded)?;
    }
    loaded.push(Module { name: name.to_owned(), content });
    Ok(())
}

/// Finds module files by name below a directory.
fn collect(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(dir)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot list {}", dir.display()))?;
    for entry in entries.filter_map(std::io::Result::ok) {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files)?;
        } else if let Some((name, _compression)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(canonical(name), path);
        }
    }
    Ok(())
}

/// The kernel takes `-` and `_` in a module's name for the same.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// Reads a module file: plain, or compressed with xz or zstd.
fn decompress(file: &Path) -> Result<Vec<u8>> {
    let bytes = workspace::read(file)?;
    let mut content = Vec::new();
    let done = match file.extension().and_then(std::ffi::OsStr::to_str) {
        Some("xz") => liblzma::read::XzDecoder::new(bytes.as_slice()).read_to_end(&mut content),
        Some("zst") => zstd::stream::copy_decode(bytes.as_slice(), &mut content).map(|()| 0),
        Some("ko") => return Ok(bytes),
        _ => {
            return Err(miette!(
                "{} is compressed in an unknown way; .ko, .ko.xz or .ko.zst was expected",
                file.display()
            ));
        }
    };
    done.into_diagnostic().wrap_err_with(|| format!("cannot decompress {}", file.display()))?;
    Ok(content)
}

/// Names of the modules that a module says it depends on.
fn depends(module: &[u8]) -> Result<Vec<String>> {
    let elf = object::File::parse(module).into_diagnostic()?;
    let section = elf.section_by_name(".modinfo").ok_or_else(|| miette!("it has no .modinfo section"))?;
    let data = section.data().into_diagnostic()?;
    let names = data
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"depends="))
        .flat_map(|list| list.split(|byte| *byte == b','))
        .filter(|name| !name.is_empty())
        .map(|name| canonical(&String::from_utf8_lossy(name)))
        .collect();
    Ok(names)
}
