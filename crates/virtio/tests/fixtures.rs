//! Every recorded stream: decoded without a finding, equal to what QEMU said, written back to the byte.

mod common;

use common::{Fixture, fixture, names};
use virtio::core::Ring;
use virtio::guest::Content;

/// Streams with something really wrong, and the code that says so.
fn expected_finding(name: &str) -> Option<&'static str> {
    // QEMU 5.2 writes the balloon's page-poison subsection under a misspelt name.
    let misspelt = ["x86-q35-kitchen-q5.2", "x86-i440fx-legacy-q5.2", "x86-microvm-mmio-legacy-q5.2"];
    misspelt.contains(&name).then_some("VM0440")
}

fn for_each(check: impl Fn(&Fixture) -> Vec<String>) {
    let problems: Vec<String> = names()
        .iter()
        .flat_map(|name| check(&fixture(name)).into_iter().map(move |problem| format!("{name}: {problem}")))
        .collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn all_are_read_without_a_finding() {
    for_each(|fixture| {
        let mut problems: Vec<String> = fixture.stopped.iter().map(ToString::to_string).collect();
        for section in fixture.stream.sections() {
            let Some(content) = fixture.guest.content(section) else { continue };
            match content {
                Err(error) => problems.push(error.to_string()),
                Ok(Content::Device(device)) => match &device.loaded {
                    Err(error) => problems.push(error.to_string()),
                    Ok(loaded) => problems.extend(
                        loaded
                            .findings
                            .iter()
                            .filter(|finding| {
                                Some(finding.code().to_string().as_str()) != expected_finding(&fixture.name)
                            })
                            .map(|finding| format!("{}: {} {finding}", section.name, finding.code())),
                    ),
                },
                Ok(Content::Companion(companion)) => {
                    problems.extend(
                        companion.findings.iter().map(|finding| format!("{}: {finding}", section.name)),
                    );
                }
                Ok(Content::Described(_) | Content::Raw) => {}
            }
        }
        problems
    });
}

#[test]
fn every_queue_is_what_qemu_said() {
    let mut compared = 0;
    for name in names() {
        let fixture = fixture(&name);
        for (section, devices) in &fixture.truth.queues {
            let device = fixture.guest.devices(&fixture.stream).find(|(found, _)| found.name == *section);
            let (_, device) = device.unwrap_or_else(|| panic!("{name} has no section {section}"));
            let rings = &device.loaded.as_ref().unwrap().rings;
            for truth in devices {
                let ring = &rings[truth.index];
                let place = format!("{name}: {section} queue {}", truth.index);
                let Ring { size, size_default, last_avail_idx, .. } = *ring;
                assert_eq!(
                    (size, size_default, last_avail_idx),
                    (truth.size, truth.size_default, truth.last_avail_idx),
                    "{place}"
                );
                let addresses = [ring.desc, ring.avail, ring.used].map(|address| format!("{address:#x}"));
                assert_eq!(
                    addresses,
                    [truth.desc.clone(), truth.avail.clone(), truth.used.clone()],
                    "{place}"
                );
                // A stream reduced to ring pages has none of rings whose addresses an IOMMU translates.
                if ring.unread.is_none() {
                    assert_eq!((ring.used_idx, ring.inuse), (truth.used_idx, truth.inuse), "{place}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "only {compared} queues were compared");
}

#[test]
fn all_are_written_as_they_were_read() {
    for_each(|fixture| {
        let mut problems = Vec::new();
        let mut replace = |section: &vmstate::stream::Section| {
            let anew = fixture.guest.content(section)?.as_ref().ok()?.save()?;
            if Some(anew.as_slice()) != section.body() {
                problems.push(format!("{} differs", section.name));
            }
            Some(anew)
        };
        let mut out = Vec::new();
        fixture.stream.write(fixture.source.as_ref(), &mut replace, &mut out).unwrap();
        let mut original = vec![0; usize::try_from(fixture.source.len()).unwrap()];
        fixture.source.read_exact_at(0, &mut original).unwrap();
        if out != original {
            problems.push("the stream differs".to_owned());
        }
        problems
    });
}
