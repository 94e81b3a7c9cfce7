//! Compressed files.

use crate::common::{contents, error, open, stream};
use crate::packed::{ALL, packed};
use image::Packing;

/// What `lzop` 1.04 makes of 40 times "virtio device migration, ": with Adler-32 sums, and with CRC-32 sums.
const BY_LZOP: [&str; 2] = [
    "894c5a4f000d0a1a0a104020a0094001050300000d000081a46b062d000000000000307d0333000003e8000000\
     3a192d7788000776697274696f20646576696365206d6967726174696f6e2c20200000009e6000000120646576\
     696365206d6967726174696f6e2c2011000000000000",
    "894c5a4f000d0a1a0a104020a0100101050300110c000081a46b062d0000000000006b11448d000003e8000000\
     3ac58da0ac000776697274696f20646576696365206d6967726174696f6e2c20200000009e6000000120646576\
     696365206d6967726174696f6e2c2011000000000000",
];

#[test]
fn each_compression_is_known_by_its_content() {
    for packing in ALL {
        let image = open(&packed(packing, &stream()), "").unwrap();
        assert_eq!(image.container.to_string(), packing.to_string());
        assert!(contents(&image) == stream(), "{packing} is unpacked");
    }
    let image = open(&stream(), "").unwrap();
    assert_eq!(image.container.to_string(), "raw");
    assert!(contents(&image) == stream());
}

#[test]
fn a_cut_file_is_an_error_with_its_name() {
    for packing in ALL {
        let mut packed = packed(packing, &stream());
        packed.truncate(packed.len() - 9);
        let text = error(&packed, "");
        assert!(text.contains(&format!("({packing})")) && text.contains("complete"), "{text}");
    }
}

#[test]
fn several_files_one_after_the_other_are_one() {
    for packing in ALL {
        let twice = packed(packing, &stream()).repeat(2);
        assert!(contents(&open(&twice, "").unwrap()) == stream().repeat(2), "{packing}");
    }
}

#[test]
fn what_lzop_wrote_is_unpacked() {
    for file in BY_LZOP {
        let file = hex::decode(file).unwrap();
        let image = open(&file, "").unwrap();
        assert_eq!(contents(&image), "virtio device migration, ".repeat(40).as_bytes());
        for at in 9..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            // What is not looked at changes nothing, as the version of the library.
            if let Ok(image) = open(&changed, "") {
                assert_eq!(contents(&image), contents(&open(&file, "").unwrap()), "byte {at}");
            }
        }
    }
}

#[test]
fn an_lzop_block_larger_than_it_can_be_is_refused() {
    let mut file = packed(Packing::Lzop, &stream());
    let block = 9 + 25 + 4;
    file[block..block + 4].copy_from_slice(&(64_u32 << 20).to_be_bytes());
    file[block + 4..block + 8].copy_from_slice(&8_u32.to_be_bytes());
    let text = error(&file, "");
    assert!(text.contains("a block of 8 bytes for 67108864"), "{text}");
}

#[test]
fn tells_how_far_it_is() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &packed(Packing::Zstd, &stream())).unwrap();
    let mut last = 0;
    image::open(file.path().to_str().unwrap(), &mut |bytes| last = bytes).unwrap();
    assert_eq!(last, stream().len() as u64);
}

#[test]
fn a_missing_file_is_named() {
    let open = |path| image::open(path, &mut |_| ()).err().unwrap().to_string();
    assert!(open("/nowhere/guest.mig").starts_with("cannot open /nowhere/guest.mig: "));
    assert!(open("/").contains("directory"));
}

#[test]
fn an_empty_file_is_raw() {
    let image = open(&[], "").unwrap();
    assert_eq!((image.container.to_string(), image.source.len()), ("raw".to_owned(), 0));
}
