//! The host, watched all the time, and beside it a further signal for a while, because someone asked
//! the service for it.
//!
//! Part of the composition root. A further signal is watched by a probe of its own, which sees the
//! targets alone and holds itself under the same budget.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{
    bursts::{Bursts, end_of, labels_of},
    continuous::{Scope, SharedLabelRules, WatchOptions, WatchedWindow, watch_scope},
    probe::{Filter, SignalOptions},
    run::DRAIN_INTERVAL,
    shutdown::Shutdown,
};
use crate::{
    clock,
    model::{BurstOrder, Labels, Signal},
};

/// Samples the whole host until someone asks to stop; gives each window to `deliver`, in order. Windows
/// of a further signal come in between, in order among themselves.
///
/// # Errors
/// What kept the probe from being loaded, or sampling from going on.
pub fn watch(
    options: &WatchOptions,
    labels: &SharedLabelRules,
    shutdown: &Shutdown,
    deliver: &mut (dyn FnMut(WatchedWindow) + Send),
) -> anyhow::Result<()> {
    let scope = Scope {
        filter: Filter::default(),
        labels: Labels::default(),
        is_over: &|| shutdown.is_requested(),
    };
    let Some(orders) = &options.bursts else {
        return watch_scope(options, &scope, labels, deliver);
    };
    let delivery = Delivery::new(deliver);
    let ended = Shutdown::default();
    let is_over = || shutdown.is_requested() || ended.is_requested();
    thread::scope(|threads| {
        let follower = Follower {
            options,
            orders,
            labels,
            delivery: &delivery,
            is_over: &is_over,
        };
        threads.spawn(move || follower.run());
        let watched = watch_scope(options, &scope, labels, &mut |window| {
            hand_on(&delivery, window);
        });
        ended.request();
        watched
    })
}

/// Takes windows, of whichever thread.
type Delivery<'a> = Mutex<&'a mut (dyn FnMut(WatchedWindow) + Send)>;

/// Delivers a window.
fn hand_on(delivery: &Delivery<'_>, window: WatchedWindow) {
    let mut deliver = delivery.lock().unwrap_or_else(PoisonError::into_inner);
    deliver(window);
}

/// Carries out orders for further signals.
struct Follower<'a> {
    /// How the host is watched all the time.
    options: &'a WatchOptions,
    orders: &'a Bursts,
    labels: &'a SharedLabelRules,
    delivery: &'a Delivery<'a>,
    /// Whether nobody is to be watched any more.
    is_over: &'a (dyn Fn() -> bool + Sync),
}

impl Follower<'_> {
    /// Carries them out one at a time, until it is over.
    fn run(&self) {
        while !(self.is_over)() {
            let Some(order) = self.orders.take_further() else {
                clock::sleep(DRAIN_INTERVAL);
                continue;
            };
            let id = order.id;
            let Some(options) = options_of(&order, self.options) else {
                continue;
            };
            tracing::info!(id, order.signal, ?order.duration, "a burst begins");
            match self.carry_out(&order, &options) {
                Ok(()) => tracing::info!(id, "a burst is over"),
                Err(error) => tracing::warn!(id, "a burst is not possible: {error:#}"),
            }
        }
    }

    /// Watches what was ordered until its time is over, or a later order is there.
    fn carry_out(&self, order: &BurstOrder, options: &WatchOptions) -> anyhow::Result<()> {
        let ends_at = end_of(order, clock::monotonic());
        let is_late = || ends_at <= clock::monotonic();
        let scope = Scope {
            filter: Filter {
                pids: order.pids.clone(),
                ..Filter::default()
            },
            labels: labels_of(order.id),
            is_over: &|| (self.is_over)() || is_late() || self.orders.has_further(),
        };
        let labels = self.labels.apart();
        let deliver = &mut |mut window: WatchedWindow| {
            window.is_further = true;
            hand_on(self.delivery, window);
        };
        // A thread of its own: it raises its priority.
        let watching = || watch_scope(options, &scope, &labels, deliver);
        let watched = thread::scope(|threads| threads.spawn(watching).join());
        watched.map_err(|_panic| anyhow::anyhow!("the thread that watches panicked"))?
    }
}

/// How to watch what an order asks for. `None` where nothing comes of it, with the reason in the log.
fn options_of(order: &BurstOrder, options: &WatchOptions) -> Option<WatchOptions> {
    let signal = Signal::named(&order.signal);
    let why = if !Signal::WATCHED.contains(&signal) {
        "there is no such signal"
    } else if options.signals.watches(&[signal]) {
        "it is watched all the time"
    } else if order.duration == Duration::ZERO {
        "it has no length"
    } else {
        return Some(WatchOptions {
            signals: SignalOptions::with_tables([signal]),
            bursts: None,
            ..options.clone()
        });
    };
    tracing::warn!(id = order.id, signal = order.signal, why, "no burst");
    None
}
