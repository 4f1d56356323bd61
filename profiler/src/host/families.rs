//! The families of probes that the governor knows, and what can be done to each.
//!
//! Part of the composition root.

use std::time::Duration;

use super::governor::{FamilyPlan, Ledger, Setting, Slices, Thinning};
use crate::model::Signal;

/// What an interrupt for a sample costs besides the program. Measured: `cargo xtask overhead`.
const CPU_SAMPLE_COST: Duration = Duration::from_nanos(1_500);
/// What entering a program at a raw tracepoint costs, the tracepoint itself included, 40 ns, less what
/// the kernel's clock adds to a run time that it measures, 28 ns.
const TRACEPOINT_COST: Duration = Duration::from_nanos(12);
/// The same for the tracepoints of system calls, which take every call off the quick path.
const SYSCALL_COST: Duration = Duration::from_nanos(42);
/// The trap of a uprobe, and the way back.
const UPROBE_COST: Duration = Duration::from_nanos(1_200);
/// Samples of a CPU a second below which a profile says too little.
const RATE_MIN_HZ: u32 = 10;

/// A family at work.
#[derive(Debug)]
pub(super) struct Family {
    /// What can be done to it.
    pub(super) plan: FamilyPlan,
    /// What it does.
    pub(super) setting: Setting,
    /// What its samples stand for.
    pub(super) ledger: Ledger,
    /// The slices, for one that is thinned so.
    pub(super) slices: Option<Slices>,
    /// Whether it is attached.
    pub(super) is_attached: bool,
    /// Whether what began in its slices is followed to its end.
    pub(super) is_followed: bool,
    /// When it was last attached, by the monotonic clock.
    pub(super) since: Duration,
    /// What begins in the slice that runs stands for so many, until then.
    pub(super) slice: (f64, Duration),
}

impl Family {
    /// A family that was just attached.
    pub(super) fn start(plan: FamilyPlan, now: Duration, seed: u64) -> Self {
        let mut ledger = Ledger::default();
        ledger.note(Duration::ZERO, Some(1.0));
        let is_sliced = plan.thinning != Thinning::Draw;
        let seed = seed.wrapping_mul(u64::try_from(now.as_nanos()).unwrap_or(1));
        Self {
            plan,
            setting: Setting::FULL,
            ledger,
            slices: is_sliced.then(|| Slices::start(now, seed)),
            is_attached: true,
            is_followed: true,
            since: Duration::ZERO,
            slice: (1.0, Duration::ZERO),
        }
    }

    /// Whether its programs make the samples of a signal.
    pub(super) fn watches(&self, signal: Signal) -> bool {
        let own = self.plan.signal;
        own == signal || own.table() == Some(signal)
    }

    /// When its next slice begins or ends.
    pub(super) fn slices_due(&self) -> Option<Duration> {
        (self.slices.as_ref())
            .filter(|slices| self.setting != Setting::FULL || !slices.is_on())
            .filter(|_slices| self.setting.is_on)
            .map(Slices::due)
    }
}

/// The family that a program belongs to, by its name; none for what no signal is charged with.
pub(super) fn family_of_program(name: &str) -> Option<Signal> {
    const PREFIXES: [(&str, Signal); 6] = [
        ("off_cpu", Signal::OffCpu),
        ("cpu", Signal::Cpu),
        ("syscall", Signal::Syscall),
        ("tcp", Signal::Tcp),
        ("alloc", Signal::Alloc),
        ("page_fault", Signal::PageFault),
    ];
    let known = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix));
    known.map(|(_prefix, signal)| *signal)
}

/// What can be done to a family, with its place in the order: the one that is thinned first has the
/// lowest. None for what has no probe of its own.
pub(super) fn plan_of(signal: Signal, rate_hz: u32, governs_all: bool) -> Option<(u8, FamilyPlan)> {
    let sliced = FamilyPlan {
        signal,
        thinning: Thinning::Slices,
        duty_halvings_max: 6,
        duty_floor: 0.0,
        rate_halvings_max: 3,
        rate_floor: 0.5,
        may_stop: true,
        cost_per_run: TRACEPOINT_COST,
    };
    // What a draw follows from begin to end, and must not lose half of: its rate may fall, no more.
    let drawn = FamilyPlan {
        thinning: Thinning::Draw,
        duty_halvings_max: 0,
        may_stop: false,
        ..sliced
    };
    let (rank, plan) = match signal {
        // All or nothing: a live heap that misses what is freed in a pause would grow for ever.
        Signal::Alloc => (
            0,
            FamilyPlan {
                rate_halvings_max: 0,
                may_stop: governs_all,
                cost_per_run: UPROBE_COST,
                ..drawn
            },
        ),
        Signal::PageFault => (
            1,
            FamilyPlan {
                rate_halvings_max: 0,
                ..drawn
            },
        ),
        Signal::Syscall => (
            2,
            FamilyPlan {
                cost_per_run: SYSCALL_COST,
                ..sliced
            },
        ),
        // The state of a connection is followed from its begin on.
        Signal::Tcp => (3, drawn),
        Signal::OffCpu => (
            4,
            FamilyPlan {
                thinning: Thinning::Begins,
                // What sees the end of waits stays: about 60 of 160 ns a switch.
                duty_floor: 0.3,
                ..sliced
            },
        ),
        Signal::Cpu => (5, cpu_plan(sliced, rate_hz, governs_all)),
        Signal::SyscallCounts | Signal::TcpCounts | Signal::Imported => return None,
    };
    Some((rank, plan))
}

/// CPU samples: their rate may fall, and nothing else.
fn cpu_plan(like: FamilyPlan, rate_hz: u32, is_governed: bool) -> FamilyPlan {
    let halvings = (rate_hz / RATE_MIN_HZ).checked_ilog2().unwrap_or(0);
    FamilyPlan {
        thinning: Thinning::Draw,
        duty_halvings_max: 0,
        rate_halvings_max: if is_governed {
            u8::try_from(halvings).unwrap_or(0)
        } else {
            0
        },
        rate_floor: 0.0,
        may_stop: false,
        cost_per_run: CPU_SAMPLE_COST,
        ..like
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Family, Signal, family_of_program, plan_of};

    #[test]
    fn what_costs_most_is_thinned_first() {
        let mut ranked: Vec<_> = (Signal::WATCHED.into_iter())
            .filter_map(|signal| plan_of(signal, 99, true))
            .collect();
        ranked.sort_by_key(|(rank, _plan)| *rank);
        let order: Vec<_> = ranked.iter().map(|(_, plan)| plan.signal).collect();
        let expected = [
            Signal::Alloc,
            Signal::PageFault,
            Signal::Syscall,
            Signal::Tcp,
            Signal::OffCpu,
            Signal::Cpu,
        ];
        assert_eq!(expected.as_slice(), order);
    }

    #[test]
    fn a_rate_falls_to_ten_a_second_and_no_further() {
        let halvings = |rate_hz, governs| {
            let (_rank, plan) = plan_of(Signal::Cpu, rate_hz, governs).unwrap();
            plan.rate_halvings_max
        };
        assert_eq!((3, 0), (halvings(99, true), halvings(99, false)));
        assert_eq!((0, 6), (halvings(7, true), halvings(999, true)));
    }

    #[test]
    fn a_program_belongs_to_the_family_of_its_name() {
        let of = family_of_program;
        assert_eq!(Some(Signal::Cpu), of("cpu_frame_pointers"));
        assert_eq!(Some(Signal::OffCpu), of("off_cpu_leave"));
        assert_eq!(Some(Signal::Syscall), of("syscall_enter"));
        assert_eq!(None, of("process_exec"));
    }

    #[test]
    fn a_table_is_watched_by_the_family_that_fills_it() {
        let (_rank, plan) = plan_of(Signal::Syscall, 99, true).unwrap();
        let family = Family::start(plan, Duration::ZERO, 1);
        assert!(family.watches(Signal::Syscall) && family.watches(Signal::SyscallCounts));
        assert!(!family.watches(Signal::TcpCounts));
        assert!(family.slices_due().is_none(), "never off, so never due");
    }
}
