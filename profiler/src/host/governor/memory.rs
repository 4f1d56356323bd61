//! The memory budget: what is given up, in which order, and when it is taken back.

use super::limits::{MEMORY_CALM_TICKS, MEMORY_PATIENCE_TICKS, MEMORY_RECOVERY};

/// What is given up, each besides what comes before it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Relief {
    /// Nothing.
    #[default]
    None,
    /// Names are not kept from one window to the next.
    Names,
    /// Windows hold fewer distinct stacks; what finds no room is counted as lost.
    Stacks,
    /// There is nothing more to give up, and memory is above the budget still.
    Unmet,
}

impl Relief {
    /// What is given up next.
    fn more(self) -> Self {
        match self {
            Self::None => Self::Names,
            Self::Names => Self::Stacks,
            Self::Stacks | Self::Unmet => Self::Unmet,
        }
    }

    /// What is taken back first.
    fn less(self) -> Self {
        match self {
            Self::None | Self::Names => Self::None,
            Self::Stacks => Self::Names,
            Self::Unmet => Self::Stacks,
        }
    }

    /// The word for people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Names => "names",
            Self::Stacks => "stacks",
            Self::Unmet => "unmet",
        }
    }
}

/// Memory against its budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Bytes; none without a budget.
    budget_bytes: Option<u64>,
    relief: Relief,
    ticks_over: u32,
    ticks_calm: u32,
}

impl Memory {
    /// Nothing given up yet.
    pub fn new(budget_bytes: Option<u64>) -> Self {
        Self {
            budget_bytes,
            ..Self::default()
        }
    }

    /// What is given up now.
    pub fn relief(&self) -> Relief {
        self.relief
    }

    /// Takes note of the bytes in use; to be called once a tick.
    #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^53")]
    pub fn tick(&mut self, bytes: u64) -> Relief {
        let Some(budget_bytes) = self.budget_bytes else {
            return Relief::None;
        };
        let is_over = budget_bytes < bytes;
        let is_calm = (bytes as f64) < MEMORY_RECOVERY * budget_bytes as f64;
        self.ticks_over = if is_over { self.ticks_over + 1 } else { 0 };
        self.ticks_calm = if is_calm { self.ticks_calm + 1 } else { 0 };
        if MEMORY_PATIENCE_TICKS <= self.ticks_over {
            self.relief = self.relief.more();
            self.ticks_over = 0;
        } else if self.relief == Relief::Unmet && !is_over {
            self.relief = Relief::Stacks;
        } else if MEMORY_CALM_TICKS <= self.ticks_calm {
            self.relief = self.relief.less();
            self.ticks_calm = 0;
        }
        self.relief
    }
}
