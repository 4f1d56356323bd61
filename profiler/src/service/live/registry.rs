//! Daemons that are connected, and windows that just became durable.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{broadcast, mpsc};

use super::limits::{ORDERS_WAITING_MAX, WINDOWS_WAITING_MAX};
use crate::model::{BurstOrder, HostWindow};

/// Why a daemon was not given an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BurstError {
    /// No daemon of this host is connected.
    #[error("no daemon of this host is connected")]
    NotConnected,
    /// The daemon said that it takes no orders.
    #[error("the daemon of this host takes no orders")]
    NotTaken,
    /// The daemon has not taken the orders before this one yet.
    #[error("the daemon has not taken the orders before this one yet")]
    Busy,
}

/// Who is connected and what just arrived. Clones share it.
#[derive(Clone, Debug)]
pub struct Live(Arc<Shared>);

/// What the clones share.
#[derive(Debug)]
struct Shared {
    daemons: Mutex<HashMap<String, Daemon>>,
    /// Number of the last connection, and of the last order.
    last: AtomicU64,
    windows: broadcast::Sender<Arc<HostWindow>>,
}

/// A daemon that is connected.
#[derive(Debug)]
struct Daemon {
    connection: u64,
    /// Absent when the daemon takes no orders.
    orders: Option<mpsc::Sender<BurstOrder>>,
}

/// A daemon's place among those that are connected; given up when dropped.
#[derive(Debug)]
pub struct Connected {
    live: Live,
    host: String,
    connection: u64,
    /// Orders for this daemon.
    pub orders: mpsc::Receiver<BurstOrder>,
}

impl Default for Live {
    fn default() -> Self {
        Self(Arc::new(Shared {
            daemons: Mutex::default(),
            last: AtomicU64::new(0),
            windows: broadcast::Sender::new(WINDOWS_WAITING_MAX),
        }))
    }
}

impl Live {
    /// Enters a daemon. A later connection of the same host takes its place.
    pub fn connect(&self, host: &str, takes_bursts: bool) -> Connected {
        let (sender, orders) = mpsc::channel(ORDERS_WAITING_MAX);
        let connection = self.next();
        let orders_in = takes_bursts.then_some(sender);
        let daemon = Daemon {
            connection,
            orders: orders_in,
        };
        self.daemons(|daemons| daemons.insert(host.to_owned(), daemon));
        Connected {
            live: self.clone(),
            host: host.to_owned(),
            connection,
            orders,
        }
    }

    /// Whether a daemon of this host is connected.
    pub fn is_connected(&self, host: &str) -> bool {
        self.daemons(|daemons| daemons.contains_key(host))
    }

    /// Number of daemons that are connected.
    pub fn connected_count(&self) -> usize {
        self.daemons(|daemons| daemons.len())
    }

    /// Gives an order to the daemon of a host, and says which number it was given. The number that
    /// `order` came with does not count.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn burst(&self, host: &str, order: BurstOrder) -> Result<u64, BurstError> {
        let id = self.next();
        let order = BurstOrder { id, ..order };
        self.daemons(|daemons| {
            let daemon = daemons.get(host).ok_or(BurstError::NotConnected)?;
            let orders = daemon.orders.as_ref().ok_or(BurstError::NotTaken)?;
            orders.try_send(order).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => BurstError::Busy,
                mpsc::error::TrySendError::Closed(_) => BurstError::NotConnected,
            })
        })?;
        Ok(id)
    }

    /// Windows from now on. A receiver that is too slow is told how many it missed.
    pub fn watch(&self) -> broadcast::Receiver<Arc<HostWindow>> {
        self.0.windows.subscribe()
    }

    /// Whether anyone watches: what is not watched need not be copied.
    pub fn is_watched(&self) -> bool {
        0 < self.0.windows.receiver_count()
    }

    /// Shows a window that became durable to everyone who watches.
    pub fn publish(&self, window: HostWindow) {
        // An error means that nobody watches, which is no failure.
        drop(self.0.windows.send(Arc::new(window)));
    }

    /// A number that was never given before.
    fn next(&self) -> u64 {
        self.0.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Looks at the daemons, alone.
    fn daemons<T>(&self, look: impl FnOnce(&mut HashMap<String, Daemon>) -> T) -> T {
        let daemons = self.0.daemons.lock();
        look(&mut daemons.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let connection = self.connection;
        self.live.daemons(|daemons| {
            let is_own = |daemon: &Daemon| daemon.connection == connection;
            if daemons.get(&self.host).is_some_and(is_own) {
                daemons.remove(&self.host);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{BurstError, BurstOrder, HostWindow, Live};

    #[test]
    fn an_order_reaches_the_daemon_of_its_host() {
        let live = Live::default();
        let none = live.burst("a", BurstOrder::default());
        assert_eq!(Err(BurstError::NotConnected), none);
        let mut daemon = live.connect("a", true);
        let deaf = live.connect("b", false);
        let id = live.burst("a", BurstOrder::default()).unwrap();
        assert_eq!(id, daemon.orders.try_recv().unwrap().id);
        let refused = live.burst("b", BurstOrder::default());
        assert_eq!(Err(BurstError::NotTaken), refused);
        drop(deaf);
        assert!(live.is_connected("a") && !live.is_connected("b"));
    }

    #[test]
    fn orders_that_nobody_takes_do_not_pile_up() {
        let live = Live::default();
        let daemon = live.connect("a", true);
        let give = || live.burst("a", BurstOrder::default());
        let given = (0..100).take_while(|_| give().is_ok()).count();
        assert_eq!(super::ORDERS_WAITING_MAX, given);
        assert_eq!(Err(BurstError::Busy), give());
        drop(daemon);
    }

    #[test]
    fn the_end_of_an_old_connection_leaves_the_new_one() {
        let live = Live::default();
        let old = live.connect("a", true);
        let new = live.connect("a", true);
        drop(old);
        assert!(live.is_connected("a"));
        drop(new);
        assert_eq!(0, live.connected_count());
    }

    #[test]
    fn windows_reach_those_who_watch() {
        let live = Live::default();
        assert!(!live.is_watched());
        live.publish(HostWindow::default());
        let mut watcher = live.watch();
        let host = "a".to_owned();
        live.publish(HostWindow {
            host,
            ..HostWindow::default()
        });
        assert_eq!("a", watcher.try_recv().unwrap().host);
    }
}
