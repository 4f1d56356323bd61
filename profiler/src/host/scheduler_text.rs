//! Where the scheduler's code lies in the kernel.
//!
//! Part of the composition root. The innermost frames of a wait are those of the probe itself and of
//! the hook it is attached to; what the thread waited in begins with the scheduler.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    ops::Range,
};

use crate::model::Avma;

/// Addresses of the functions that put a thread to sleep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SchedulerText(Range<u64>);

impl SchedulerText {
    /// Reads it from the kernel's symbols; `None` when they are hidden.
    pub(super) fn read() -> Option<Self> {
        Self::parse(BufReader::new(File::open("/proc/kallsyms").ok()?))
    }

    /// Finds the two symbols around it.
    fn parse(symbols: impl BufRead) -> Option<Self> {
        let (mut start, mut end) = (None, None);
        for line in symbols.lines().map_while(Result::ok) {
            let found = if line.ends_with(" __sched_text_start") {
                &mut start
            } else if line.ends_with(" __sched_text_end") {
                &mut end
            } else {
                continue;
            };
            let (address, _rest) = line.split_once(' ')?;
            *found = u64::from_str_radix(address, 16).ok();
            if let (Some(start), Some(end)) = (start, end) {
                return (start < end).then_some(Self(start..end));
            }
        }
        None
    }

    /// Removes what lies inside of the scheduler; a stack that never enters it stays as it is.
    pub(super) fn strip(&self, innermost_first: &mut Vec<Avma>) {
        let outer = (innermost_first.iter()).position(|address| self.0.contains(&address.0));
        if let Some(outer) = outer {
            innermost_first.drain(..outer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Avma, SchedulerText};

    #[test]
    fn the_probes_own_frames_are_removed() {
        let symbols = "ffffffff81000000 T _stext\nffffffff82000000 T __sched_text_start\n\
                       ffffffff82000040 t __schedule\nffffffff82001000 T __sched_text_end\n";
        let text = SchedulerText::parse(symbols.as_bytes()).unwrap();
        let addresses = |list: &[u64]| list.iter().copied().map(Avma).collect::<Vec<_>>();
        let mut stack = addresses(&[
            0xffff_ffff_c000_0010,
            0xffff_ffff_8100_0100,
            0xffff_ffff_8200_0050,
            0xffff_ffff_8100_0200,
        ]);
        text.strip(&mut stack);
        assert_eq!(
            addresses(&[0xffff_ffff_8200_0050, 0xffff_ffff_8100_0200]),
            stack
        );
        let mut elsewhere = addresses(&[0xffff_ffff_8200_1000]);
        text.strip(&mut elsewhere);
        assert_eq!(1, elsewhere.len());
    }

    #[test]
    fn hidden_symbols_give_nothing() {
        let hidden = "0000000000000000 T __sched_text_start\n0000000000000000 T __sched_text_end\n";
        assert_eq!(None, SchedulerText::parse(hidden.as_bytes()));
        assert_eq!(None, SchedulerText::parse(&b""[..]));
    }
}
