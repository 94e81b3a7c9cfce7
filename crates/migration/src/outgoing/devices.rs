//! The state of the devices, as it goes into a stream.

use std::time::Instant;

use vmstate::Writer;
use vmstate::stream::{Head, Kind, StreamDescription, footer};
use vmstate::vmdesc::{DeviceDesc, VmDesc};

use super::precopy::{RAM_ID, Sending};
use crate::error::Cause;
use crate::event::DeviceTime;
use crate::guest::DeviceSection;

/// The sections of the devices, each as it goes into the stream.
pub(super) fn device_sections(sections: &[DeviceSection]) -> Vec<Writer> {
    let save = |(id, section): (u32, &DeviceSection)| {
        let DeviceSection { name, instance, version, body, .. } = section;
        let (name, instance, version) = (name.clone(), *instance, *version);
        let mut out = Writer::new();
        Head::Section { kind: Kind::Full, id, name, instance, version }.save(&mut out);
        out.bytes(body);
        out.bytes(&footer(id));
        out
    };
    (RAM_ID + 1..).zip(sections).map(save).collect()
}

impl Sending<'_> {
    /// Sends the sections of the devices, as [`device_sections`] gives them.
    pub(super) fn send_devices(
        &mut self,
        sections: &[DeviceSection],
        written: &[Writer],
    ) -> Result<Vec<DeviceTime>, Cause> {
        let mut times = Vec::new();
        for (section, bytes) in sections.iter().zip(written) {
            let started = Instant::now();
            self.line.put(bytes.as_bytes())?;
            times.push(DeviceTime {
                name: section.name.clone(),
                bytes: section.body.len() as u64,
                transfer: started.elapsed(),
                save: Some(section.saved_in),
                load: None,
            });
        }
        Ok(times)
    }

    /// Sends the end, and the description.
    pub(super) fn describe(&mut self, sections: &[DeviceSection]) -> Result<(), Cause> {
        let mut out = Writer::new();
        Head::Eof.save(&mut out);
        let device = |section: &DeviceSection| DeviceDesc {
            name: section.name.clone(),
            instance_id: section.instance,
            size: None,
            body: section.description.clone(),
        };
        let devices = sections.iter().map(device).collect();
        let description = VmDesc { configuration: None, page_size: self.page_size as u64, devices };
        let description = StreamDescription::new(description);
        description.save_head(&mut out)?;
        out.bytes(&description.json);
        self.line.put(out.as_bytes())
    }
}
