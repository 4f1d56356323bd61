//! Conditions that need someone's attention, until they are over.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;

/// A condition that holds now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Alarm {
    /// Its name: `store_full` …
    pub name: &'static str,
    /// What is wrong, for people.
    pub what: String,
    /// Wall time in seconds since the Unix epoch from which on it holds.
    pub since_s: u64,
}

/// All conditions that hold now. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Alarms(Arc<Mutex<BTreeMap<&'static str, Alarm>>>);

impl Alarms {
    /// Enters a condition; one that holds already keeps its start. True when it is new.
    pub fn raise(&self, name: &'static str, what: String, now_wall: Duration) -> bool {
        self.change(|alarms| {
            let known = alarms.get(name).map(|alarm| alarm.since_s);
            let since_s = known.unwrap_or(now_wall.as_secs());
            let alarm = Alarm {
                name,
                what,
                since_s,
            };
            alarms.insert(name, alarm);
            known.is_none()
        })
    }

    /// Ends a condition. True when it held.
    pub fn clear(&self, name: &'static str) -> bool {
        self.change(|alarms| alarms.remove(name).is_some())
    }

    /// What holds now, by name.
    pub fn list(&self) -> Vec<Alarm> {
        self.change(|alarms| alarms.values().cloned().collect())
    }

    /// Looks at the conditions, alone.
    fn change<T>(&self, look: impl FnOnce(&mut BTreeMap<&'static str, Alarm>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Alarms;

    #[test]
    fn an_alarm_keeps_its_start_until_it_is_over() {
        let alarms = Alarms::default();
        let raise =
            |second: u64| alarms.raise("full", second.to_string(), Duration::from_secs(second));
        assert!(raise(5));
        assert!(!raise(9));
        let [alarm] = alarms.list().try_into().unwrap();
        assert_eq!((5, "9"), (alarm.since_s, alarm.what.as_str()));
        assert!(alarms.clear("full") && !alarms.clear("full"));
        assert!(alarms.list().is_empty());
    }
}
