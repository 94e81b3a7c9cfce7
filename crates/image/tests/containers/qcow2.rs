//! Snapshots in qcow2 images.

use std::time::{Duration, UNIX_EPOCH};

use vmstate::stream::Stream;

use crate::common::{contents, error, fixture, open, stream};
use crate::qcow2_image::{Clusters, Entry, Layout, image};

const PLAIN: Layout = Layout { version: 3, cluster_bits: 12, clusters: Clusters::Plain };

const LAYOUTS: [Layout; 10] = [
    PLAIN,
    Layout { version: 2, cluster_bits: 16, clusters: Clusters::Plain },
    Layout { version: 3, cluster_bits: 9, clusters: Clusters::Plain },
    Layout { version: 3, cluster_bits: 21, clusters: Clusters::Plain },
    Layout { version: 3, cluster_bits: 12, clusters: Clusters::MarkedZeros },
    Layout { version: 3, cluster_bits: 14, clusters: Clusters::Subclusters },
    Layout { version: 3, cluster_bits: 16, clusters: Clusters::Subclusters },
    Layout { version: 2, cluster_bits: 12, clusters: Clusters::Deflate },
    Layout { version: 3, cluster_bits: 9, clusters: Clusters::Deflate },
    Layout { version: 3, cluster_bits: 16, clusters: Clusters::Zstd },
];

#[test]
fn every_layout_gives_the_stream() {
    for layout in LAYOUTS {
        let state = stream();
        let image = open(&image(layout, &[("1", "before", &state)]), "").unwrap();
        assert_eq!(image.container.to_string(), "qcow2");
        assert!(contents(&image) == state, "{layout:?}");
        let mut byte = [0];
        for offset in [0, 8, state.len() - 1, 1 << 20, 511].map(|offset| offset as u64) {
            image.source.read_exact_at(offset, &mut byte).unwrap();
            assert_eq!(byte[0], state[usize::try_from(offset).unwrap()], "{layout:?} at {offset}");
        }
        assert_eq!(image.source.read_at(state.len() as u64, &mut byte).unwrap(), 0);
        assert_eq!(image.source.read_at(u64::MAX, &mut byte).unwrap(), 0);
    }
}

#[test]
fn a_snapshot_is_found_by_name_or_id() {
    let snapshots: [Entry<'_>; 4] = [
        ("1", "2", b"QEVM first"),
        ("2", "other", b"QEVM second"),
        ("3", "disk only", b""),
        ("4", "2#", b"QEVM"),
    ];
    let file = image(PLAIN, &snapshots);
    let stream = |wanted| contents(&open(&file, wanted).unwrap());
    assert_eq!(stream("#1"), b"QEVM first");
    assert_eq!(stream("#2"), b"QEVM first", "a name goes before an id");
    assert_eq!(stream("#other"), b"QEVM second");
    let image = open(&file, "#other").unwrap();
    let snapshot = image.container.snapshot().unwrap();
    assert_eq!((snapshot.id.as_str(), snapshot.name.as_str()), ("2", "other"));
    assert_eq!(snapshot.taken, UNIX_EPOCH + Duration::new(1_700_000_001, 500));
    assert_eq!(snapshot.date(), "2023-11-14T22:13:21Z");
    assert_eq!(snapshot.vm_clock, Duration::from_millis(1500));

    let list = "\n  1  2  2023-11-14T22:13:20Z  10 bytes of VM state\n  2  other  2023-11-14T22:13:21Z  \
                11 bytes of VM state\n  3  disk only  2023-11-14T22:13:22Z  no VM state\n  4  2#  \
                2023-11-14T22:13:23Z  4 bytes of VM state";
    let text = error(&file, "");
    assert!(text.contains("with 3 snapshots that have VM state; name one by its name or id, as "), "{text}");
    assert!(text.ends_with(list), "{text}");
    let text = error(&file, "#third");
    assert!(text.contains("has no snapshot `third`; name one") && text.ends_with(list), "{text}");
    let text = error(&file, "#3");
    assert!(text.starts_with("snapshot `3` of ") && text.contains(" has no VM state; name one"), "{text}");
}

#[test]
fn one_with_vm_state_needs_no_name() {
    let file = image(PLAIN, &[("1", "disk only", b""), ("2", "all", b"QEVM")]);
    assert_eq!(contents(&open(&file, "").unwrap()), b"QEVM");
    let none = error(&image(PLAIN, &[]), "");
    assert!(none.contains("without a snapshot that has VM state; `savevm` in QEMU's monitor"), "{none}");
    let twice = image(PLAIN, &[("1", "same", b"QEVM"), ("2", "same", b"QEVM")]);
    assert!(error(&twice, "#same").contains("has several snapshots `same`; name one"));
}

#[test]
fn what_is_refused_is_named() {
    let with = |at: usize, bytes: &[u8]| {
        let mut file = image(PLAIN, &[("1", "a", &stream())]);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        error(&file, "")
    };
    let cases: [(usize, &[u8], &str); 9] = [
        (7, &[1], "version at 0x4: version 1, expected 2 to 3"),
        (23, &[8], "cluster_bits at 0x14: 8, expected 9 to 21"),
        (23, &[63], "cluster_bits at 0x14: 63, expected 9 to 21"),
        (
            35,
            &[2],
            "crypt_method at 0x20: an image encrypted with LUKS is not supported; load the snapshot in QEMU",
        ),
        (60, &[0xff; 4], "nb_snapshots at 0x3c: 4294967295 snapshots, at most 65536"),
        (79, &[4], "incompatible_features at 0x48: an image with an external data file"),
        (79, &[0x20], "an image with the unknown features 0x20"),
        (79, &[8], "an image with an unknown compression"),
        (64, &[0x7f], "snapshots[0] at "),
    ];
    for (at, bytes, expected) in cases {
        let text = with(at, bytes);
        assert!(
            text.contains(" as a qcow2 image: ") && text.contains(expected),
            "{text}\nexpected: {expected}"
        );
    }
}

#[test]
fn lengths_are_held_against_the_tables() {
    let file = image(PLAIN, &[("1", "a", &stream())]);
    let table = usize::try_from(u64::from_be_bytes(file[64..72].try_into().unwrap())).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[table + at..table + at + bytes.len()].copy_from_slice(bytes);
        open(&file, "")
    };
    for (at, bytes, expected) in [
        (40, [0xff; 8].as_slice(), "bytes of VM state take"),
        (48, &[0xff; 8], "bytes of VM state take"),
        (8, &[0; 4], "1 L1 entries from entry 3 on, the table has 0"),
        (0, &[0x7f], "are left"),
        (36, &[0, 0, 4, 1], "1025 bytes of extra data, at most 1024"),
    ] {
        let text = with(at, bytes).err().unwrap().to_string();
        assert!(text.contains(expected), "{text}\nexpected: {expected}");
    }
}

#[test]
fn a_cut_or_crooked_image_is_an_error() {
    // Those with clusters of 2 MiB take their time and show nothing new.
    for layout in LAYOUTS.into_iter().filter(|layout| layout.cluster_bits < 21) {
        let state = stream();
        let state = &state[(1 << 20) - 50_000..(1 << 20) + 100_000];
        let whole = image(layout, &[("1", "a", state)]);
        for part in 0..40 {
            read_all(&whole[..whole.len() * part / 40]);
        }
        // Any byte of the header and of all tables may be anything.
        for at in (0..whole.len()).step_by(1 + whole.len() / 300).chain(0..112) {
            let mut file = whole.clone();
            file[at] ^= 0xff;
            read_all(&file);
        }
    }
    let mut file = image(PLAIN, &[("1", "a", b"QEVM")]);
    let entry = file.windows(8).position(|bytes| bytes == (4096_u64 | 1 << 63).to_be_bytes()).unwrap();
    file[entry + 6] |= 2;
    let failure = open(&file, "").unwrap().source.read_exact_at(0, &mut [0]).unwrap_err().to_string();
    assert!(failure.contains("cluster at 0x1200 of the file, expected a multiple of 4096"), "{failure}");
    file[entry] |= 0x40;
    let failure = open(&file, "").unwrap().source.read_exact_at(0, &mut [0]).unwrap_err().to_string();
    assert!(failure.contains("compressed cluster at "), "{failure}");
}

/// Reads what can be read.
fn read_all(file: &[u8]) {
    let Ok(image) = open(file, "") else { return };
    let mut piece = vec![0; 1 << 16];
    for offset in (0..image.source.len().min(4 << 20)).step_by(piece.len()) {
        if image.source.read_at(offset, &mut piece).is_err() {
            return;
        }
    }
}

#[test]
fn what_qemu_wrote_is_read() {
    for name in ["first", "second"] {
        let path = format!("{}#{name}", fixture("microvm-q10.0.qcow2.zst").display());
        let image = image::open(&path, &mut |_| ()).unwrap();
        assert_eq!(image.container.to_string(), "zstd+qcow2");
        assert_eq!(image.container.snapshot().unwrap().name, name);
        let scan = Stream::scan(&image.source, &mut |_| ());
        assert!(scan.stopped.is_none() && scan.stream.is_complete());
        assert_eq!(scan.stream.bytes, image.source.len());
    }
}
