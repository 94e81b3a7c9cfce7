//! Compressing, to have something to unpack.

use std::io::Write;

use image::Packing;

/// All compressions.
pub(crate) const ALL: [Packing; 6] =
    [Packing::Zstd, Packing::Gzip, Packing::Bzip2, Packing::Xz, Packing::Lz4, Packing::Lzop];

/// These bytes, compressed.
pub(crate) fn packed(packing: Packing, bytes: &[u8]) -> Vec<u8> {
    match packing {
        Packing::Zstd => {
            let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
            out.long_distance_matching(true).unwrap();
            out.window_log(27).unwrap();
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        Packing::Gzip => {
            let (a, b) = bytes.split_at(1000);
            let member = |bytes: &[u8]| {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            };
            [member(a), member(b)].concat()
        }
        Packing::Bzip2 => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        Packing::Xz => {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        Packing::Lz4 => {
            let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        Packing::Lzop => lzop(bytes),
        _ => unreachable!("{packing} is not among ALL"),
    }
}

/// Blocks of 256 KiB with Adler-32 sums: runs of zeros are packed, all else is stored.
fn lzop(bytes: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend([0x1040_u16, 0x20a0, 0x0940].map(u16::to_be_bytes).concat());
    header.extend([1, 5]); // LZO1X-1, level 5
    header.extend([0x0300_000d_u32, 0, 0, 0].map(u32::to_be_bytes).concat());
    header.push(0); // no name
    let mut out = b"\x89LZO\0\r\n\x1a\n".to_vec();
    out.extend(&header);
    out.extend(adler2::adler32_slice(&header).to_be_bytes());
    for block in bytes.chunks(256 << 10) {
        let packed = block.iter().all(|&byte| byte == 0).then(|| lzo1x_of_zeros(block.len()));
        let packed = packed.as_deref().unwrap_or(block);
        let lengths = [block.len(), packed.len()].map(|length| u32::try_from(length).unwrap().to_be_bytes());
        out.extend(lengths.concat());
        out.extend(adler2::adler32_slice(block).to_be_bytes());
        out.extend(packed);
    }
    out.extend([0; 4]);
    out
}

/// LZO1X of a run of zeros: four as they are, and the rest copied from one byte back.
fn lzo1x_of_zeros(length: usize) -> Vec<u8> {
    let mut out = vec![17 + 4, 0, 0, 0, 0];
    let mut rest = length - 4 - 33;
    out.push(0x20);
    while rest > 255 {
        out.push(0);
        rest -= 255;
    }
    out.push(u8::try_from(rest).unwrap());
    out.extend([0, 0]); // one byte back, no bytes as they are
    out.extend([0x11, 0, 0]);
    out
}
