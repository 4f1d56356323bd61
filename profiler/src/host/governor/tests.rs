//! The governor under loads that are made up.

use std::time::Duration;

use super::{
    FamilyCost, FamilyPlan, Governor, Ledger, Measurement, Memory, Relief, Setting, Slices, Switch,
    TICK, Thinning,
};
use crate::model::Signal;

const BUDGET: f64 = 0.01;
const CPUS: u32 = 2;

/// Two families: one in slices, one that draws, and in this order.
fn plans() -> [FamilyPlan; 2] {
    let slices = FamilyPlan {
        signal: Signal::OffCpu,
        thinning: Thinning::Slices,
        duty_halvings_max: 6,
        duty_floor: 0.0,
        rate_halvings_max: 0,
        rate_floor: 0.0,
        may_stop: true,
        cost_per_run: Duration::ZERO,
    };
    let rates = FamilyPlan {
        signal: Signal::Cpu,
        thinning: Thinning::Draw,
        duty_halvings_max: 0,
        rate_halvings_max: 3,
        may_stop: false,
        ..slices
    };
    [slices, rates]
}

/// A host whose families cost so much at the full setting, as shares of its CPU.
struct Host {
    governor: Governor,
    settings: Vec<[Setting; 2]>,
}

impl Host {
    fn new() -> Self {
        Self {
            governor: Governor::new(Some(BUDGET), &plans()),
            settings: Vec::new(),
        }
    }

    /// Lets a load run for so many seconds; gives the overhead of the last one.
    fn run(&mut self, seconds: u32, full: [f64; 2], own: f64) -> f64 {
        for _second in 0..seconds {
            let settings = plans().map(|plan| self.governor.setting(plan.signal));
            let cost = |place: usize| {
                let setting: Setting = settings[place];
                let rate = 1.0 / f64::from(setting.rate_divisor());
                FamilyCost {
                    while_on: setting.is_on.then(|| full[place] * f64::from(CPUS) * rate),
                    on_share: setting.duty(),
                    ..FamilyCost::default()
                }
            };
            self.governor.tick(&Measurement {
                elapsed: TICK,
                cpus: CPUS,
                families: vec![cost(0), cost(1)],
                own: TICK.mul_f64(own * f64::from(CPUS)),
            });
            self.settings.push(settings);
        }
        self.governor.overhead()
    }

    fn setting(&self, signal: Signal) -> Setting {
        self.governor.setting(signal)
    }

    /// Times that anything changed since the beginning.
    fn changes(&self) -> usize {
        let pairs = self.settings.windows(2);
        pairs.filter(|pair| pair[0] != pair[1]).count()
    }
}

#[test]
fn what_fits_is_left_alone() {
    let mut host = Host::new();
    host.run(600, [0.006, 0.001], 0.001);
    assert_eq!(0, host.changes());
}

#[test]
fn too_much_is_cut_within_three_seconds_to_what_fits() {
    let mut host = Host::new();
    host.run(3, [0.05, 0.001], 0.0);
    let overhead = host.run(1, [0.05, 0.001], 0.0);
    assert!(overhead <= BUDGET, "{overhead}");
    assert!(BUDGET / 4.0 < overhead, "cut too deep: {overhead}");
    assert_eq!(
        Setting::FULL,
        host.setting(Signal::Cpu),
        "the cheap one stays"
    );
}

#[test]
fn families_are_cut_in_their_order_and_recover_backwards() {
    let mut host = Host::new();
    host.run(10, [0.5, 0.2], 0.0);
    let (first, second) = (host.setting(Signal::OffCpu), host.setting(Signal::Cpu));
    assert_eq!(6, first.duty_halvings, "as far as it goes");
    assert_eq!(3, second.rate_halvings, "then the rate");
    assert!(!first.is_on, "then what may stop");
    host.run(200, [0.005, 0.001], 0.0);
    assert_eq!(Setting::FULL, host.setting(Signal::OffCpu));
    assert_eq!(Setting::FULL, host.setting(Signal::Cpu));
    let full_again = |place: usize| {
        let from_cut = host.settings.iter().skip(10);
        from_cut
            .take_while(|settings| settings[place] != Setting::FULL)
            .count()
    };
    assert!(
        full_again(1) < full_again(0),
        "the last cut comes back first"
    );
}

#[test]
fn a_steady_load_is_never_given_another_setting() {
    for full in [0.011, 0.013, 0.02, 0.05, 0.3] {
        let mut host = Host::new();
        host.run(20, [full, 0.001], 0.0);
        let settled = host.changes();
        host.run(3_600, [full, 0.001], 0.0);
        assert_eq!(settled, host.changes(), "at {full}");
    }
}

/// What never fits is off, and tried again ever less often: nobody knows what it costs by then.
#[test]
fn what_never_fits_is_tried_again_at_times() {
    let mut host = Host::new();
    host.run(3_600, [0.9, 0.001], 0.0);
    let changes = host.changes();
    assert!((10..80).contains(&changes), "{changes} changes in an hour");
}

/// A load that comes and goes every twelve seconds: recovery is tried less and less often.
#[test]
fn a_load_that_comes_and_goes_does_not_swing_the_settings_with_it() {
    let mut host = Host::new();
    for _hour in 0..60 {
        host.run(12, [0.05, 0.001], 0.0);
        host.run(12, [0.001, 0.001], 0.0);
    }
    let changes = host.changes();
    assert!(changes < 120, "{changes} changes in 24 minutes");
}

#[test]
fn noise_around_the_budget_changes_nothing_for_long() {
    let mut host = Host::new();
    let mut random = 1_u64;
    for _second in 0..3_600 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "a random share")]
        let noise = (random >> 40) as f64 / (1_u64 << 24) as f64;
        host.run(1, [0.006 + 0.008 * noise, 0.001], 0.0);
    }
    let changes = host.changes();
    assert!(changes <= 60, "{changes} changes in an hour");
}

#[test]
fn what_no_cut_can_lower_takes_half_of_the_budget_at_most() {
    let mut host = Host::new();
    host.run(600, [0.02, 0.0], 0.5);
    let setting = host.setting(Signal::OffCpu);
    assert!(setting.is_on);
    assert_eq!(3, setting.duty_halvings, "0.0025 of 0.005");
}

#[test]
fn a_family_that_loses_its_records_is_thinned() {
    let mut governor = Governor::new(Some(BUDGET), &plans());
    let lossy = FamilyCost {
        while_on: Some(0.001),
        on_share: 1.0,
        records: 10_000,
        lost: 4_000,
        ..FamilyCost::default()
    };
    let measured = Measurement {
        elapsed: TICK,
        cpus: CPUS,
        families: vec![lossy, FamilyCost::default()],
        own: Duration::ZERO,
    };
    assert!(governor.tick(&measured));
    assert_eq!(1, governor.setting(Signal::OffCpu).duty_halvings);
}

/// What is in slices, and followed to its end between them.
#[test]
fn what_a_pause_costs_is_told_from_what_a_slice_costs() {
    let [slices, _rates] = plans();
    let begins = FamilyPlan {
        thinning: Thinning::Begins,
        ..slices
    };
    let mut governor = Governor::new(Some(BUDGET), &[begins]);
    let mut run = |pause: f64| {
        for _second in 0..40 {
            let setting = governor.setting(Signal::OffCpu);
            let is_on = setting.is_on;
            let cost = FamilyCost {
                while_on: is_on.then_some(0.1 * f64::from(CPUS)),
                while_off: (is_on && setting != Setting::FULL).then_some(pause * f64::from(CPUS)),
                on_share: setting.duty(),
                ..FamilyCost::default()
            };
            governor.tick(&Measurement {
                elapsed: TICK,
                cpus: CPUS,
                families: vec![cost],
                own: Duration::ZERO,
            });
        }
        (governor.setting(Signal::OffCpu), governor.overhead())
    };
    let (setting, overhead) = run(0.004);
    assert!(setting.is_on && 4 <= setting.duty_halvings, "{setting:?}");
    assert!(0.004 < overhead && overhead <= BUDGET, "{overhead}");
    let (setting, _overhead) = run(0.02);
    assert!(!setting.is_on, "no slice is short enough: {setting:?}");
}

#[test]
fn without_a_budget_nothing_is_cut() {
    let mut governor = Governor::new(None, &plans());
    let costly = FamilyCost {
        while_on: Some(2.0),
        on_share: 1.0,
        ..FamilyCost::default()
    };
    let measured = Measurement {
        elapsed: TICK,
        cpus: CPUS,
        families: vec![costly, costly],
        own: Duration::ZERO,
    };
    assert!(!governor.tick(&measured));
    assert!(1.9 < governor.overhead(), "it is measured all the same");
}

/// Drives slices at a duty that changes, with switches that come late; gives what a rate of events
/// that changes with time was estimated to be, divided by the truth, and the share of time on.
fn estimate(seed: u64, duty_at: impl Fn(f64) -> f64, rate_at: impl Fn(f64) -> f64) -> (f64, f64) {
    const STEP: Duration = Duration::from_millis(1);
    const STEPS: u32 = 120_000;
    let mut slices = Slices::start(Duration::ZERO, seed);
    let mut weight = Some((1.0, Duration::MAX));
    let (mut estimated, mut truth, mut on) = (0.0, 0.0, 0_u32);
    for step in 0..STEPS {
        let now = STEP * step;
        let seconds = now.as_secs_f64();
        let duty = duty_at(seconds);
        match slices.poll(now, duty) {
            Some(Switch::On) => weight = Some(slices.begin(now, duty)),
            Some(Switch::Off) => {
                slices.pause(now, duty);
                weight = None;
            }
            None => {}
        }
        assert_eq!(weight.is_some(), slices.is_on());
        truth += rate_at(seconds);
        // What comes after the end, because the switch is late, stands for itself.
        let weight_now = |(weight, due)| if now < due { weight } else { 1.0 };
        estimated += weight.map_or(0.0, weight_now) * rate_at(seconds);
        on += u32::from(weight.is_some());
    }
    (estimated / truth, f64::from(on) / f64::from(STEPS))
}

#[test]
fn slices_that_are_never_off_weigh_one() {
    assert_eq!((1.0, 1.0), estimate(1, |_| 1.0, |seconds| seconds));
}

/// Not nearly one: counts are multiplied by it, and rounded.
#[test]
fn a_slice_that_was_never_off_weighs_exactly_one_whenever_it_ends() {
    for step in 1..2_000 {
        let mut slices = Slices::start(Duration::ZERO, 1);
        let begun = Duration::from_nanos(7_919 * step);
        let (_weight, due) = slices.begin(begun, 1.0);
        let late = due + Duration::from_nanos(104_729 * step);
        let error = (slices.mean_weight(late) - 1.0).abs();
        assert!(error <= 0.0, "{error} at {late:?}");
    }
}

#[test]
fn slices_stand_for_all_the_time_there_was() {
    for duty in [0.5, 0.25, 1.0 / 64.0] {
        let (ratio, on) = estimate(7, |_| duty, |_| 1.0);
        assert!((ratio - 1.0).abs() < 0.01, "{ratio} at {duty}");
        assert!((on / duty - 1.0).abs() < 0.25, "{on} on at {duty}");
    }
}

/// A load with a period of the slices' own, and a duty that follows the load: neither biases.
#[test]
fn nothing_periodic_keeps_in_step_with_slices() {
    let runs = 40;
    let mean = |rate_at: &dyn Fn(f64) -> f64, duty_at: &dyn Fn(f64) -> f64| {
        let ratios = (1..=runs).map(|seed| estimate(seed * 7_919, duty_at, rate_at).0);
        ratios.sum::<f64>() / f64::from(u32::try_from(runs).unwrap())
    };
    for period in [0.25, 0.5, 1.0] {
        let pulse = |seconds: f64| f64::from(u8::from(seconds % period < period / 4.0));
        let ratio = mean(&pulse, &|_| 0.25);
        assert!(
            (ratio - 1.0).abs() < 0.03,
            "{ratio} at a period of {period}"
        );
    }
    let busy = |seconds: f64| seconds % 20.0 < 10.0;
    let load = |seconds: f64| if busy(seconds) { 10.0 } else { 1.0 };
    let duty = |seconds: f64| if busy(seconds) { 0.125 } else { 1.0 };
    let ratio = mean(&load, &duty);
    assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
}

#[expect(clippy::float_cmp, reason = "as they were noted")]
#[test]
fn a_ledger_knows_what_each_moment_weighed() {
    let second = Duration::from_secs;
    let mut ledger = Ledger::default();
    ledger.note(second(1), Some(1.0));
    ledger.note(second(2), None);
    ledger.note(second(5), Some(4.0));
    let weights = [1, 2, 5, 9].map(|moment| ledger.weight_at(second(moment)));
    assert_eq!([1.0, 1.0, 4.0, 4.0], weights);
    assert_eq!(second(2), ledger.on_time(second(1), second(6)));
    assert_eq!(second(0), ledger.on_time(second(2), second(5)));
}

#[test]
fn memory_is_given_up_in_order_and_taken_back() {
    let mut memory = Memory::new(Some(100));
    let after = |memory: &mut Memory, ticks: u32, bytes: u64| {
        (0..ticks).fold(Relief::None, |_, _tick| memory.tick(bytes))
    };
    assert_eq!(Relief::None, after(&mut memory, 4, 120));
    assert_eq!(Relief::Names, after(&mut memory, 1, 120));
    assert_eq!(Relief::Unmet, after(&mut memory, 10, 120));
    assert_eq!(Relief::Stacks, after(&mut memory, 1, 90));
    assert_eq!(Relief::Stacks, after(&mut memory, 59, 60));
    assert_eq!(Relief::None, after(&mut memory, 120, 60));
    assert_eq!(Relief::None, after(&mut Memory::new(None), 100, u64::MAX));
}
