//! Unwind tables against a second opinion: gimli's own interpreter, at every place that matters.
//!
//! Ours goes the whole way (compile, encode, search as the probe does); theirs is the row of
//! `gimli::UnwindTable`. Expressions are not compared by their look: both sides are evaluated over
//! registers and memory that are made up from the address.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EndianSlice, EvaluationResult, Expression,
    LittleEndian, Location, Register, RegisterRule, UnwindContext, UnwindExpression,
    UnwindSection as _, Value, X86_64,
};
use object::{Object as _, ObjectSection as _, ObjectSegment as _, read::elf::ElfFile64};
use profiler::host::unwind::{TableChunk, UnwindTable, compile, lookup};
use profiler_common::unwind_row::{CfaKind, RuleCode, SavedKind, UnwindRule, unpack_registers};

type Slice<'d> = EndianSlice<'d, LittleEndian>;

/// What gimli says of a range of code.
struct Expected {
    /// Link-time addresses.
    start: u64,
    end: u64,
    /// First address of the function.
    function: u64,
    is_signal_frame: bool,
    cfa: CfaRule<usize>,
    ra: Option<RegisterRule<usize>>,
    rbp: Option<RegisterRule<usize>>,
    rbx: Option<RegisterRule<usize>>,
}

/// What came of the comparisons of one file.
#[derive(Debug, Default)]
struct Tally {
    agree: u64,
    unsupported: u64,
    /// Places where functions overlap: two answers, no telling which is right.
    ambiguous: u64,
    differ: Vec<String>,
}

/// One file, read by both sides.
struct Image<'d> {
    frames: EhFrame<Slice<'d>>,
    /// Link-time address and file offset of each segment, and its size in the file.
    segments: Vec<(u64, u64, u64)>,
    expected: Vec<Expected>,
    table: UnwindTable,
    words: Vec<TableChunk>,
}

#[test]
fn the_c_library_agrees() {
    check_library("libc.so.6");
}

#[test]
fn the_cpp_library_agrees() {
    check_library("libstdc++.so.6");
}

#[test]
fn hand_written_cryptography_agrees() {
    check_library("libcrypto.so.3");
}

#[test]
fn the_dynamic_linker_agrees() {
    check_library("ld-linux-x86-64.so.2");
}

#[test]
fn this_program_agrees() {
    check("this program", &fs::read("/proc/self/exe").unwrap());
}

#[test]
fn the_vdso_agrees() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let Some(line) = maps.lines().find(|line| line.ends_with("[vdso]")) else {
        eprintln!("SKIPPED: this process has no vDSO");
        return;
    };
    let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
    let start = u64::from_str_radix(start, 16).unwrap();
    let end = u64::from_str_radix(end, 16).unwrap();
    let mut image = vec![0; usize::try_from(end - start).unwrap()];
    let memory = File::open("/proc/self/mem").unwrap();
    memory.read_exact_at(&mut image, start).unwrap();
    check("[vdso]", &image);
}

/// Compares a system library, or says loudly that there is none.
#[track_caller]
fn check_library(name: &str) {
    let folders = [
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/usr/lib",
    ];
    let paths = folders.iter().map(|folder| Path::new(folder).join(name));
    let Some(path) = paths.into_iter().find(|path: &PathBuf| path.is_file()) else {
        eprintln!("SKIPPED: {name} is in none of {folders:?}");
        return;
    };
    let mut bytes = vec![];
    File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
    check(name, &bytes);
}

/// Compares a whole file: nothing may differ, and little may be unsupported.
#[track_caller]
fn check(name: &str, bytes: &[u8]) {
    let image = Image::read(bytes);
    let mut tally = Tally::default();
    image.compare_at_rows_of_gimli(&mut tally);
    image.compare_at_own_rows(&mut tally);
    let total = tally.agree + tally.unsupported;
    #[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
    let share = |count: u64| 100.0 * count as f64 / total as f64;
    println!(
        "{name}: {} functions, {total} places, {:.4} % agree, {:.4} % unsupported, {} ambiguous",
        image.table.counts().functions,
        share(tally.agree),
        share(tally.unsupported),
        tally.ambiguous,
    );
    assert!(
        tally.differ.is_empty(),
        "{name}: {} places differ, the first ones:\n{}",
        tally.differ.len(),
        tally.differ[..tally.differ.len().min(10)].join("\n")
    );
    assert_eq!(0, image.table.counts().entries_malformed, "{name}");
    assert_eq!(0, image.table.counts().functions_malformed, "{name}");
    assert!(total > 0, "{name}: nothing was compared");
    assert!(
        tally.unsupported * 1_000 < total.max(1_000),
        "{name}: {tally:?}"
    );
}

impl<'d> Image<'d> {
    fn read(bytes: &'d [u8]) -> Self {
        let elf = ElfFile64::<object::LittleEndian>::parse(bytes).unwrap();
        let section = elf.section_by_name(".eh_frame").unwrap();
        let frames = EhFrame::new(section.data().unwrap(), LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(section.address());
        let segments = elf
            .segments()
            .map(|segment| {
                let (offset, size_bytes) = segment.file_range();
                (segment.address(), offset, size_bytes)
            })
            .collect();
        let table = compile(bytes).unwrap();
        let words = table.encode(&mut |rule| {
            let number = table
                .rules()
                .iter()
                .position(|known| known == rule)
                .unwrap();
            RuleCode::Rule(u16::try_from(number).unwrap())
        });
        Self {
            expected: expected_rows(&frames, &bases),
            frames,
            segments,
            table,
            words,
        }
    }

    /// Every place where gimli's answer changes, the last byte before the change, one between.
    fn compare_at_rows_of_gimli(&self, tally: &mut Tally) {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for row in &self.expected {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            for address in [
                row.start,
                row.end - 1,
                row.start + random % (row.end - row.start),
                row.end,
            ] {
                self.compare(address, tally);
            }
        }
    }

    /// Every place where our answer changes, and the byte before.
    fn compare_at_own_rows(&self, tally: &mut Tally) {
        for row in self.table.rows() {
            let offset = row.file_offset.0;
            let segment = self
                .segments
                .iter()
                .find(|(_, start, size)| (*start..start + size).contains(&offset));
            if let Some((address, start, _)) = segment {
                self.compare(offset - start + address, tally);
                self.compare(offset - start + address - 1, tally);
            }
        }
    }

    /// Asks both sides about one address.
    fn compare(&self, address: u64, tally: &mut Tally) {
        let segment = self
            .segments
            .iter()
            .find(|(start, _, size)| (*start..start + size).contains(&address));
        let Some((start, file_offset, _)) = segment else {
            return;
        };
        let code = lookup(&self.words, address - start + file_offset);
        let after = self.expected.partition_point(|row| row.start <= address);
        let nearby = &self.expected[after.saturating_sub(4)..after];
        let mut covering = nearby.iter().filter(|row| address < row.end);
        let agrees = match (covering.next(), covering.next()) {
            (_, Some(_)) => {
                tally.ambiguous += 1;
                return;
            }
            (None, None) => code == RuleCode::NoInfo,
            (Some(row), None) => match code {
                RuleCode::Unsupported => {
                    tally.unsupported += 1;
                    return;
                }
                RuleCode::NoInfo | RuleCode::FramePointer => false,
                RuleCode::EndOfStack => row.ra == Some(RegisterRule::Undefined),
                RuleCode::SignalFrame => self.is_signal_frame(row, address),
                RuleCode::Rule(number) => {
                    let rule = self.table.rules()[usize::from(number)];
                    self.rule_agrees(&rule, row, address)
                }
            },
        };
        if agrees {
            tally.agree += 1;
        } else {
            let functions: Vec<_> = nearby.iter().map(|row| row.function).collect();
            tally.differ.push(format!(
                "{address:#x}: {code:?}, functions near {functions:#x?}"
            ));
        }
    }

    /// A signal frame is one where the kernel keeps the interrupted `rsp` at `rsp + 160`.
    fn is_signal_frame(&self, row: &Expected, pc: u64) -> bool {
        let expected = memory(register(X86_64::RSP, pc).wrapping_add(160));
        row.is_signal_frame && self.cfa_of_gimli(row, pc) == Some(expected)
    }

    /// Whether a rule says what gimli's row says.
    fn rule_agrees(&self, rule: &UnwindRule, row: &Expected, pc: u64) -> bool {
        !row.is_signal_frame
            && self.cfa_of_gimli(row, pc) == Some(cfa_of_rule(rule, pc))
            && row.ra == Some(RegisterRule::Offset(rule.ra_offset.into()))
            && self.saved_agrees(rule.rbp_kind, rule.rbp_offset, row.rbp.as_ref(), pc)
            && self.saved_agrees(rule.rbx_kind, rule.rbx_offset, row.rbx.as_ref(), pc)
    }

    /// Whether a register is found where gimli finds it.
    fn saved_agrees(
        &self,
        kind: u8,
        offset: i16,
        theirs: Option<&RegisterRule<usize>>,
        pc: u64,
    ) -> bool {
        match (SavedKind::try_from(kind).unwrap(), theirs) {
            // That an undefined register counts as unchanged is the product's choice.
            (SavedKind::Same, None | Some(RegisterRule::SameValue | RegisterRule::Undefined)) => {
                true
            }
            (SavedKind::AtCfa, Some(RegisterRule::Offset(theirs))) => *theirs == i64::from(offset),
            (SavedKind::AtRbp, Some(RegisterRule::Expression(expression))) => {
                let ours = register(X86_64::RBP, pc).wrapping_add_signed(offset.into());
                self.evaluate(*expression, pc) == Some(ours)
            }
            _ => false,
        }
    }

    fn cfa_of_gimli(&self, row: &Expected, pc: u64) -> Option<u64> {
        match row.cfa {
            CfaRule::RegisterAndOffset {
                register: number,
                offset,
            } => Some(register(number, pc).wrapping_add_signed(offset)),
            CfaRule::Expression(expression) => self.evaluate(expression, pc),
        }
    }

    /// Runs an expression on the made-up machine; `None` if it asks for more than that has.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of 14 requests, call frames make two"
    )]
    fn evaluate(&self, expression: UnwindExpression<usize>, pc: u64) -> Option<u64> {
        let Expression(bytes) = expression.get(&self.frames).unwrap();
        let encoding = gimli::Encoding {
            address_size: 8,
            format: gimli::Format::Dwarf32,
            version: 4,
        };
        let mut evaluation = Expression(bytes).evaluation(encoding);
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister {
                    register: number, ..
                } => evaluation.resume_with_register(Value::Generic(register(number, pc))),
                EvaluationResult::RequiresMemory {
                    address, size: 8, ..
                } => evaluation.resume_with_memory(Value::Generic(memory(address))),
                _ => return None,
            }
            .ok()?;
        }
        match evaluation.result()[..] {
            [
                gimli::Piece {
                    location: Location::Address { address },
                    ..
                },
            ] => Some(address),
            _ => None,
        }
    }
}

/// Where a rule finds the frame, on the made-up machine.
fn cfa_of_rule(rule: &UnwindRule, pc: u64) -> u64 {
    let (base, index) = unpack_registers(rule.cfa_register);
    let base = register(Register(base.into()), pc);
    let address = base.wrapping_add_signed(rule.cfa_offset.into());
    match CfaKind::try_from(rule.cfa_kind).unwrap() {
        CfaKind::Register => address,
        CfaKind::Deref => memory(address).wrapping_add_signed(rule.cfa_add.into()),
        CfaKind::DerefIndexed => {
            let index = register(Register(index.into()), pc).wrapping_mul(8);
            memory(address.wrapping_add(index)).wrapping_add_signed(rule.cfa_add.into())
        }
        CfaKind::Plt => address + 8 * u64::from(pc & 15 >= rule.cfa_add.unsigned_abs().into()),
    }
}

/// Contents of a register: the program counter is real, the others are made up.
fn register(number: Register, pc: u64) -> u64 {
    if number == X86_64::RA {
        return pc;
    }
    memory(u64::from(number.0) << 40)
}

/// Contents of memory, made up: any two addresses differ.
fn memory(address: u64) -> u64 {
    address.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) & 0x7fff_ffff_ffff
}

/// Runs gimli over a section. Sorted by address; functions that a linker dropped left out.
fn expected_rows(frames: &EhFrame<Slice<'_>>, bases: &BaseAddresses) -> Vec<Expected> {
    let mut expected = vec![];
    let mut context = UnwindContext::new();
    let mut entries = frames.entries(bases);
    while let Some(entry) = entries.next().unwrap() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let fde = partial.parse(EhFrame::cie_from_offset).unwrap();
        let mut rows = fde.rows(frames, bases, &mut context).unwrap();
        while let Some(row) = rows.next_row().unwrap() {
            let end = row.end_address().min(fde.end_address());
            if row.start_address() < end {
                expected.push(Expected {
                    start: row.start_address(),
                    end,
                    function: fde.initial_address(),
                    is_signal_frame: fde.is_signal_trampoline(),
                    cfa: row.cfa().clone(),
                    ra: row.register(X86_64::RA),
                    rbp: row.register(X86_64::RBP),
                    rbx: row.register(X86_64::RBX),
                });
            }
        }
    }
    expected.sort_by_key(|row| row.start);
    expected
}
