//! Tables of each form, made here.

use super::*;
use crate::iommu::{Iommu, IommuMemory};
use crate::memory::testing::Pages;

const DEVICE: Bdf = Bdf(0x0110); // 01:02.0
const ROOT: u64 = 0x1000;
const CONTEXT: u64 = 0x2000;
const DIRECTORY: u64 = 0x3000;
const PASIDS: u64 = 0x4000;
/// Levels of page tables lie at `TABLES + level · 0x1000`; of the first stage of two at `FIRST + …`.
const TABLES: u64 = 0x10_0000;
const FIRST: u64 = 0x20_0000;
const PAGE: u64 = 0x5000_0000;

const IOVA: u64 = 0x7f_c0de_f123;

/// Read and write, which are present and writable in the first stage; and user.
const RW: u64 = 3;
const RWU: u64 = 7;
const LARGE: u64 = 1 << 7;

fn iommu(mode: u8) -> IntelIommu {
    let mut iommu = IntelIommu { root: ROOT, dmar_enabled: true, ..IntelIommu::default() };
    iommu.csr.set(0x21, mode << 2);
    iommu
}

/// A page table of `levels` that maps the page of `iova` at `PAGE`, by an entry at level `leaf`.
fn map(memory: &mut Pages, tables: u64, levels: u32, leaf: u32, iova: u64, flags: u64) -> u64 {
    let table = |level: u32| tables + u64::from(level) * 0x1000;
    for level in leaf..=levels {
        let index = iova >> (12 + 9 * (level - 1)) & 0x1ff;
        let large = if leaf > 1 { LARGE } else { 0 };
        let entry = if level == leaf { PAGE | flags | large } else { table(level - 1) | flags };
        // Bits that are ignored or not an address are set: they must not matter.
        memory.write_u64s(table(level) + index * 8, &[entry | 0xff0 << 52 | 1 << 11]);
    }
    table(levels)
}

/// Legacy tables with this context entry.
fn legacy(low: u64, high: u64) -> Pages {
    let mut memory = Pages::default();
    memory.write_u64s(ROOT + 16, &[CONTEXT | 1, 0]);
    memory.write_u64s(CONTEXT + 16 * 16, &[low, high]);
    memory
}

/// Scalable tables with this PASID, and these first three words of its entry.
fn scalable(device: Bdf, pasid: u64, entry: [u64; 3]) -> Pages {
    let mut memory = Pages::default();
    let half = ROOT + u64::from(device.bus()) * 16 + u64::from(device.devfn() >> 7) * 8;
    memory.write_u64s(half, &[CONTEXT | 1]);
    memory.write_u64s(CONTEXT + u64::from(device.devfn() & 0x7f) * 32, &[DIRECTORY | 1, pasid]);
    memory.write_u64s(DIRECTORY + (pasid >> 6 & 0x3fff) * 8, &[PASIDS | 1]);
    memory.write_u64s(PASIDS + (pasid & 0x3f) * 64, &entry);
    memory
}

fn translate(iommu: &IntelIommu, memory: &dyn RingMemory, iova: u64) -> Result<(u64, u64), MemoryError> {
    iommu.for_device(memory, DEVICE)?.translate(iova, u64::MAX)
}

fn fault(address: u64) -> Result<(u64, u64), MemoryError> {
    Err(MemoryError::Fault { address })
}

#[test]
fn disabled() {
    let iommu = IntelIommu { dmar_enabled: false, ..iommu(0) };
    assert_eq!(translate(&iommu, &Pages::default(), 0xfee0_0000), Ok((0xfee0_0000, u64::MAX)));
}

#[test]
fn second_stage_of_each_depth() {
    for (width, levels) in [(1, 3), (2, 4), (3, 5)] {
        let mut memory = legacy(0, 0);
        let top = map(&mut memory, TABLES, levels, 1, IOVA, RW);
        memory.write_u64s(CONTEXT + 16 * 16, &[top | 1, width | 0x42 << 8]);
        assert_eq!(translate(&iommu(0), &memory, IOVA), Ok((PAGE + 0x123, 0xedd)));
        assert_eq!(translate(&iommu(0), &memory, IOVA + 0x1000), fault(IOVA + 0x1000));
        let beyond = IOVA | 1 << (12 + 9 * levels);
        assert_eq!(translate(&iommu(0), &memory, beyond), fault(beyond), "{levels} levels");
        // With a device TLB the tables are the same.
        memory.write_u64s(CONTEXT + 16 * 16, &[top | 0b101, width]);
        assert!(translate(&iommu(0), &memory, IOVA).is_ok());
    }
}

#[test]
fn large_pages() {
    for (leaf, size) in [(2, 0x20_0000), (3, 0x4000_0000)] {
        let mut memory = legacy(0, 0);
        let top = map(&mut memory, TABLES, 4, leaf, IOVA, RW);
        memory.write_u64s(CONTEXT + 16 * 16, &[top | 1, 2]);
        let within = IOVA & (size - 1);
        let base = PAGE & !(size - 1);
        assert_eq!(translate(&iommu(0), &memory, IOVA), Ok((base + within, size - within)));
    }
    let mut memory = legacy(0, 0);
    let top = map(&mut memory, TABLES, 4, 4, IOVA, RW);
    memory.write_u64s(CONTEXT + 16 * 16, &[top | 1, 2]);
    assert_eq!(translate(&iommu(0), &memory, IOVA), fault(IOVA), "there are no pages of 512 GiB");
}

#[test]
fn pass_through() {
    let identity = Ok((IOVA, u64::MAX));
    assert_eq!(translate(&iommu(0), &legacy(0b1001, 2), IOVA), identity);
    let memory = scalable(DEVICE, 0, [4 << 6 | 2 << 2 | 1, 0, 0]);
    assert_eq!(translate(&iommu(1), &memory, IOVA), identity);
}

#[test]
fn interrupts_are_no_memory() {
    let memory = legacy(0b1001, 2);
    assert_eq!(translate(&iommu(0), &memory, 0xfee0_0000), fault(0xfee0_0000));
    assert_eq!(translate(&iommu(0), &memory, 0xfedf_fff0), Ok((0xfedf_fff0, 16)));
    assert_eq!(translate(&iommu(0), &memory, 0xfef0_0000).unwrap().0, 0xfef0_0000);
}

#[test]
fn what_is_not_present_or_reserved_faults() {
    let mut good = legacy(0, 0);
    let top = map(&mut good, TABLES, 4, 1, IOVA, RW);
    for (low, high) in [(top, 2), (top | 0b1101, 2), (top | 1, 0), (top | 1, 4), (0xdead_0000 | 1, 2)] {
        good.write_u64s(CONTEXT + 16 * 16, &[low, high]);
        assert_eq!(translate(&iommu(0), &good, IOVA), fault(IOVA), "{low:#x} {high:#x}");
    }
    good.write_u64s(CONTEXT + 16 * 16, &[top | 1, 2]);
    assert!(translate(&iommu(0), &good, IOVA).is_ok());
    assert_eq!(translate(&iommu(3), &good, IOVA), fault(IOVA), "abort mode");
    assert_eq!(translate(&iommu(0), &Pages::default(), IOVA), fault(IOVA), "no root table");
    let other = iommu(0).for_device(&good, Bdf(0x0118)).unwrap().translate(IOVA, 1);
    assert_eq!(other, fault(IOVA), "another device");
    map(&mut good, TABLES, 4, 1, IOVA, 0b10);
    assert_eq!(translate(&iommu(0), &good, IOVA), fault(IOVA), "write-only");
}

#[test]
fn first_stage_of_each_depth() {
    let canonical = 0xffff_8000_0000_0000 | IOVA;
    for (mode, levels, iova) in [(0, 4, IOVA), (1, 5, IOVA), (0, 4, canonical), (1, 5, canonical)] {
        let mut memory = Pages::default();
        let top = map(&mut memory, FIRST, levels, 1, iova, RWU);
        let mut memory = merged(memory, scalable(DEVICE, 0, [1 << 6 | 1, 0, top | mode << 2]));
        assert_eq!(translate(&iommu(1), &memory, iova), Ok((PAGE + 0x123, 0xedd)));
        let not_canonical = iova ^ 1 << 62;
        assert_eq!(translate(&iommu(1), &memory, not_canonical), fault(not_canonical));
        map(&mut memory, FIRST, levels, 1, iova, RW);
        assert_eq!(translate(&iommu(1), &memory, iova), fault(iova), "the supervisor's");
    }
}

#[test]
fn privileged_requests_may_read_what_is_the_supervisors() {
    let privileged = 1 << 20;
    for (supervisor_enable, expected) in [(1, Ok((PAGE + 0x123, 0xedd))), (0, fault(IOVA))] {
        let mut memory = Pages::default();
        let top = map(&mut memory, FIRST, 4, 1, IOVA, RW);
        let memory = merged(memory, scalable(DEVICE, privileged, [1 << 6 | 1, 0, top | supervisor_enable]));
        assert_eq!(translate(&iommu(1), &memory, IOVA), expected);
    }
}

#[test]
fn scalable_second_stage_by_pasid_and_half() {
    let upper = Bdf(0x01f8); // 01:1f.0
    for device in [DEVICE, upper] {
        let mut memory = Pages::default();
        let top = map(&mut memory, TABLES, 3, 1, IOVA, RW);
        let memory = merged(memory, scalable(device, 0x0145, [top | 2 << 6 | 1 << 2 | 1, 0, 0]));
        let translated = iommu(1).for_device(&memory, device).unwrap().translate(IOVA, 0x10);
        assert_eq!(translated, Ok((PAGE + 0x123, 0x10)));
    }
}

#[test]
fn scalable_entries_that_are_reserved_fault() {
    let entry = [TABLES | 1 << 2 | 1, 0, 0];
    for kind in [0, 5, 6, 7] {
        let memory = scalable(DEVICE, 0, [entry[0] | kind << 6, 0, 0]);
        assert_eq!(translate(&iommu(1), &memory, IOVA), fault(IOVA));
    }
    let memory = scalable(DEVICE, 0, [1 << 6 | 1, 0, FIRST | 2 << 2]);
    assert_eq!(translate(&iommu(1), &memory, IOVA), fault(IOVA), "a reserved paging mode");
    // The directory has 128 entries, so 8,192 PASIDs.
    let pass_through = [4 << 6 | 1 << 2 | 1, 0, 0];
    assert!(translate(&iommu(1), &scalable(DEVICE, 0x1fff, pass_through), IOVA).is_ok());
    assert_eq!(translate(&iommu(1), &scalable(DEVICE, 0x2000, pass_through), IOVA), fault(IOVA));
}

#[test]
fn nested() {
    // The second stage moves everything below 1 GiB up by 3 GiB, and PAGE to 2 GiB.
    const MOVED: u64 = 0xc000_0000;
    let mut tables = Pages::default();
    let first = map(&mut tables, FIRST, 4, 1, IOVA, RWU);
    let mut memory = Pages::default();
    for table in (FIRST..).step_by(0x1000).skip(1).take(4) {
        let mut page = vec![0; 4096];
        tables.read(table, &mut page).unwrap();
        memory.write(MOVED + table, &page);
    }
    let second = TABLES + 0x3000;
    memory.write_u64s(second, &[MOVED | LARGE | RW, 0x8000_0000 | LARGE | RW]);
    let entry = [second | 3 << 6 | 1 << 2 | 1, 0, first];
    let mut memory = merged(memory, scalable(DEVICE, 0, entry));
    assert_eq!(translate(&iommu(1), &memory, IOVA), Ok((0x9000_0123, 0xedd)));
    assert_eq!(translate(&iommu(1), &memory, 0), fault(0), "not in the first stage");
    memory.write_u64s(second + 8, &[0]);
    assert_eq!(translate(&iommu(1), &memory, IOVA), fault(IOVA), "not in the second stage");
}

#[test]
fn reads_through_the_tables() {
    let mut memory = legacy(0, 0);
    let top = map(&mut memory, TABLES, 4, 1, IOVA, RW);
    memory.write_u64s(CONTEXT + 16 * 16, &[top | 1, 2]);
    memory.write(PAGE + 0x123, b"ring");
    let iommu = Iommu::Intel(Box::new(iommu(0)));
    let translate = iommu.for_device(&memory, DEVICE).unwrap();
    let mut buf = [0; 4];
    IommuMemory::new(&memory, &*translate).read(IOVA, &mut buf).unwrap();
    assert_eq!(&buf, b"ring");
}

#[test]
fn tables_that_cannot_be_read_are_not_known() {
    struct Missing;
    impl RingMemory for Missing {
        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), MemoryError> {
            Err(MemoryError::Unknown { reason: "not in the stream".to_owned() })
        }
    }
    let error = translate(&iommu(0), &Missing, IOVA).unwrap_err();
    assert_eq!(error.to_string(), "not in the stream");
}

fn merged(mut memory: Pages, other: Pages) -> Pages {
    memory.merge(other);
    memory
}
