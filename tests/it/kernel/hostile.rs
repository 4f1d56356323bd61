//! Programs whose files lie about themselves. They run all the same: only a profiler reads what was
//! damaged.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use profiler_tests::{harness::workload, require_root};
use tempfile::TempDir;

use super::check::{check_chain, recursion, run, shell_with, stacks_in};

/// Sections that are overwritten with noise, each in a program of its own.
const SECTIONS: [&str; 9] = [
    ".eh_frame",
    ".eh_frame_hdr",
    ".symtab",
    ".strtab",
    ".note.gnu.build-id",
    ".debug_info",
    ".debug_abbrev",
    ".debug_line",
    ".debug_str",
];

/// The little of ELF that is needed to damage it.
struct Elf(Vec<u8>);

impl Elf {
    /// Where the offset of the section headers is kept.
    const SECTIONS_OFFSET: usize = 0x28;

    /// A number of so many bytes.
    fn number(&self, offset: usize, size_bytes: usize) -> usize {
        let bytes = self.0[offset..offset + size_bytes].iter();
        bytes
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    /// Offset of a section header.
    fn header(&self, index: usize) -> usize {
        self.number(Self::SECTIONS_OFFSET, 8) + index * self.number(0x3a, 2)
    }

    /// The bytes of a section.
    fn section(&mut self, name: &str) -> &mut [u8] {
        let names = self.number(self.header(self.number(0x3e, 2)) + 0x18, 8);
        let index = (0..self.number(0x3c, 2)).find(|index| {
            let own = names + self.number(self.header(*index), 4);
            self.0[own..].starts_with(format!("{name}\0").as_bytes())
        });
        let header = self.header(index.unwrap());
        let (start, size) = (self.number(header + 0x18, 8), self.number(header + 0x20, 8));
        &mut self.0[start..start + size]
    }
}

/// The same noise every time (xorshift).
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    })
}

/// Descriptions of frames that refer to themselves and claim the whole address space.
fn lies(section: &mut [u8]) {
    for entry in section.chunks_exact_mut(20) {
        // Length of the rest; distance back to the common part, which is this very field; start, length.
        entry[..4].copy_from_slice(&16_u32.to_le_bytes());
        entry[4..8].copy_from_slice(&4_u32.to_le_bytes());
        entry[8..12].copy_from_slice(&i32::MIN.to_le_bytes());
        entry[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    }
}

/// Writes a program that can be run.
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Damaged copies of the split, `hostile_0` and on; and one that is whole, `honest`.
fn programs(dir: &Path) -> Vec<PathBuf> {
    let whole = fs::read(workload("split").unwrap()).unwrap();
    let mut damaged = Vec::new();
    for (seed, name) in (1..).zip(SECTIONS) {
        let mut elf = Elf(whole.clone());
        let bytes = elf.section(name).iter_mut();
        bytes
            .zip(noise(seed))
            .for_each(|(byte, noise)| *byte = noise);
        damaged.push(elf.0);
    }
    let mut lying = Elf(whole.clone());
    lies(lying.section(".eh_frame"));
    damaged.push(lying.0);
    let mut without_sections = whole.clone();
    without_sections[Elf::SECTIONS_OFFSET..Elf::SECTIONS_OFFSET + 8].fill(0xff);
    damaged.push(without_sections);
    let paths = (0..damaged.len()).map(|index| dir.join(format!("hostile_{index}")));
    let paths: Vec<PathBuf> = paths.chain([dir.join("honest")]).collect();
    let all = damaged.iter().chain([&whole]);
    paths
        .iter()
        .zip(all)
        .for_each(|(path, bytes)| write(path, bytes));
    paths
}

/// One after the other under the profiler: all are sampled, and the honest one that comes last has whole
/// stacks, so nothing was stuck in those before.
#[test]
fn damaged_files_do_not_stop_the_profiler() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let programs = programs(dir.path());
    let line = r#"for program in "$0"/hostile_*; do "$program" 0.4; done; "$0"/honest 2"#;
    let outcome = run(&shell_with(line, [dir.path().into()]));
    for program in &programs {
        let comm = program.file_name().unwrap().to_string_lossy();
        let stacks = outcome.collapsed.of_comm(&comm);
        assert!(stacks.total() > 20, "{comm}: {} samples", stacks.total());
    }
    let honest = stacks_in("honest", &outcome);
    check_chain(&honest, &recursion("main", "descend", 20));
}

/// Noise in the names does not cost the frames, and noise in the frames does not cost the names.
#[test]
fn damage_stays_where_it_is() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let _programs = programs(dir.path());
    // .eh_frame, then .debug_info.
    let line = r#""$0"/hostile_0 1; "$0"/hostile_5 1"#;
    let outcome = run(&shell_with(line, [dir.path().into()]));
    let without_frames = outcome.collapsed.of_comm("hostile_0");
    assert!(
        without_frames.share_total("heavy") > 0.5,
        "{}",
        without_frames.heaviest(5)
    );
    let without_lines = stacks_in("hostile_5", &outcome);
    check_chain(&without_lines, &recursion("main", "descend", 20));
}
