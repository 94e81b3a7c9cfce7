//! What a stream can be in: compressed files, libvirt's save images, qcow2 images.

use std::cell::RefCell;
use std::io::{Seek, Write};

use tempfile::NamedTempFile;
use vmstate::stream::Stream;

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().unwrap());
}

pub(crate) fn open(bytes: &[u8]) {
    FILE.with_borrow_mut(|file| {
        file.rewind().unwrap();
        file.write_all(bytes).unwrap();
        file.as_file().set_len(bytes.len() as u64).unwrap();
        let path = file.path().to_str().unwrap();
        if let Ok(image) = image::open(path, &mut |_| ()) {
            let _ = Stream::scan(image.source.as_ref(), &mut |_| ());
        }
    });
}
