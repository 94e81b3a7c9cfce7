//! What QEMU checks of a GPU once its section is loaded. It fails the load and says nothing.

use std::collections::{HashMap, HashSet};

use super::{Blob, Gpu, Resource, Scanout};
use crate::finding::{Findings, Severity};

/// Screens a device can have (virtio 1.3 §5.7.4: `VIRTIO_GPU_MAX_SCANOUTS`).
const MAX_SCANOUTS: usize = 16;
/// The formats of 2D resources (§5.7.6.8: `enum virtio_gpu_formats`).
const FORMATS: [u32; 8] = [1, 2, 3, 4, 67, 68, 121, 134];

impl Gpu {
    /// Checks resources and scanouts.
    pub(super) fn check(&self, findings: &mut Findings) {
        let mut fails = |code, message: String| findings.add_device(code, Severity::FailsLoad, message);
        let blobs = self.blob.as_ref().map_or(&[][..], |blobs| &blobs.resources);

        let mut ids = HashSet::new();
        let all = self.resources.iter().map(|r| r.resource_id).chain(blobs.iter().map(|b| b.resource_id));
        for id in all.filter(|&id| !ids.insert(id)) {
            fails(461, format!("there are two resources {id}"));
        }
        for Resource { resource_id, format, .. } in self.resources.iter() {
            if !FORMATS.contains(format) {
                fails(
                    462,
                    format!("resource {resource_id} has format {format}, expected one of {FORMATS:?}"),
                );
            }
        }
        for Blob { resource_id, blob_size, iov } in blobs {
            let backed: u64 = iov.iter().map(|entry| u64::from(entry.length)).sum();
            if backed < u64::from(*blob_size) {
                fails(463, format!("blob {resource_id} is of {blob_size} bytes, but only {backed} back it"));
            }
        }
        let scanouts = &self.scanouts.scanout;
        if scanouts.len() > MAX_SCANOUTS {
            fails(464, format!("{} scanouts, at most {MAX_SCANOUTS}", scanouts.len()));
        }
        let images: HashMap<_, _> = self.resources.iter().map(|r| (r.resource_id, r)).collect();
        for (index, scanout) in scanouts.iter().enumerate().filter(|(_, scanout)| scanout.resource_id != 0) {
            let id = scanout.resource_id;
            let framebuffer = scanout.framebuffer.filter(|framebuffer| framebuffer.format != 0);
            if !ids.contains(&id) {
                fails(465, format!("scanout {index} shows resource {id}, which is not there"));
            } else if framebuffer.is_none() && !images.contains_key(&id) {
                fails(466, format!("scanout {index} shows blob {id}, and does not say how that is an image"));
            } else if let Some(framebuffer) = framebuffer
                && !scanout.is_inside(framebuffer.width, framebuffer.height)
            {
                let Scanout { width, height, x, y, .. } = scanout;
                let size = format!("{} by {}", framebuffer.width, framebuffer.height);
                fails(
                    467,
                    format!(
                        "scanout {index} shows {width} by {height} pixels at {x}, {y} of an image of {size}"
                    ),
                );
            }
        }
    }
}

impl Scanout {
    /// Whether it lies in an image of this size.
    fn is_inside(&self, width: u32, height: u32) -> bool {
        let fits =
            |at: i32, length: u32, size: u32| at >= 0 && i64::from(at) + i64::from(length) <= i64::from(size);
        fits(self.x, self.width, width) && fits(self.y, self.height, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::device::bytes::Bytes;
    use crate::device::gpu::{Blobs, Cursor, Framebuffer, MemEntry, Scanouts};
    use crate::device::testing::{Bench, saved};
    use crate::device::zero_terminated::ZeroTerminated;
    use crate::shape::Switch;

    fn bench() -> Bench {
        Bench::of(const { &Gpu::TYPE })
    }

    fn gpu() -> Gpu {
        let iov = vec![MemEntry { addr: 0x10_0000, length: 4096 }];
        let resource =
            // An id that begins like a subsection.
            Resource { resource_id: 0x0500_0001, width: 3, height: 2, format: 2, iov: iov.clone().into(), pixels: Bytes(vec![7; 24]) };
        let blob = Blob { resource_id: 9, blob_size: 4096, iov: iov.into() };
        let framebuffer =
            Framebuffer { format: 0x2002_0888, bytes_pp: 0, width: 3, height: 2, stride: 12, offset: 0 };
        let shown = Scanout {
            resource_id: 0x0500_0001,
            width: 2,
            height: 2,
            x: 1,
            y: 0,
            cursor: Cursor { resource_id: 3, ..Cursor::default() },
            framebuffer: Some(framebuffer),
        };
        let dark = Scanout { framebuffer: Some(Framebuffer::default()), ..Scanout::default() };
        Gpu {
            resources: ZeroTerminated(vec![resource]),
            scanouts: Scanouts { enable: 1, scanout: vec![shown, dark].into() },
            blob: Some(Blobs { resources: ZeroTerminated(vec![blob]) }),
        }
    }

    #[track_caller]
    fn expect(code: &str, change: fn(&mut Gpu)) {
        let mut gpu = gpu();
        change(&mut gpu);
        let (message, severity) = bench().finding::<Gpu>(&saved(&gpu));
        assert!(message.starts_with(code), "{message}");
        assert_eq!(severity, Severity::FailsLoad);
    }

    fn shown(gpu: &mut Gpu) -> &mut Scanout {
        &mut gpu.scanouts.scanout[0]
    }

    #[test]
    fn round_trips() {
        assert_eq!(bench().round_trip::<Gpu>(&saved(&gpu())), gpu());
        let mut old = gpu();
        old.scanouts.scanout.iter_mut().for_each(|scanout| scanout.framebuffer = None);
        old.blob = None;
        assert_eq!(bench().switch(Switch::ScanoutV1).round_trip::<Gpu>(&saved(&old)), old);
        assert!(bench().load::<Gpu>(&saved(&old)).is_err(), "the other layout");
    }

    #[test]
    fn finds_what_qemu_refuses() {
        expect("VM0461 there are two resources 9", |gpu| {
            gpu.resources.0.push(Resource { resource_id: 9, format: 1, ..Resource::default() });
        });
        expect("VM0462 resource 83886081 has format 5, expected one of [1, 2,", |gpu| {
            gpu.resources.0[0].format = 5;
        });
        expect("VM0463 blob 9 is of 4097 bytes, but only 4096 back it", |gpu| {
            gpu.blob.as_mut().unwrap().resources.0[0].blob_size += 1;
        });
        expect("VM0464 17 scanouts, at most 16", |gpu| {
            let dark = gpu.scanouts.scanout[1].clone();
            gpu.scanouts.scanout.resize(17, dark);
        });
        expect("VM0465 scanout 0 shows resource 8, which is not there", |gpu| shown(gpu).resource_id = 8);
        expect("VM0466 scanout 0 shows blob 9, and does not", |gpu| {
            shown(gpu).resource_id = 9;
            shown(gpu).framebuffer = Some(Framebuffer::default());
        });
        expect("VM0467 scanout 0 shows 2 by 2 pixels at 2, 0 of an image of 3 by 2", |gpu| shown(gpu).x = 2);
        expect("VM0467 scanout 0 shows 2 by 2 pixels at -1, 0", |gpu| shown(gpu).x = -1);
    }

    #[test]
    fn finds_3d() {
        let finding = bench().features(1).finding::<Gpu>(&saved(&gpu()));
        assert!(finding.0.starts_with("VM0460 the driver uses VIRGL"), "{finding:?}");
        assert_eq!(finding.1, Severity::Warning);
    }

    #[test]
    fn refuses_pixels_that_are_not_there() {
        let mut data = saved(&gpu());
        data[4..12].fill(0xff);
        let error = bench().load::<Gpu>(&data).unwrap_err();
        assert_eq!(error.path(), "virtio-gpu › resources[0] › resource › pixels");
    }
}
