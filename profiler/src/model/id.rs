//! Ids: processes and threads, and the content addresses of frames and stacks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Process as the daemon's pid namespace sees it (the kernel calls it tgid).
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
pub struct Pid(pub u32);

/// Thread as the daemon's pid namespace sees it (the kernel calls it pid).
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
pub struct Tid(pub u32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Content address of a frame: the low 64 bits of its [`FrameHash`].
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
pub struct FrameId(pub u64);

/// Content address of a stack: the low 64 bits of its [`StackHash`].
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
pub struct StackId(pub u64);

/// 128-bit hash over a frame's unsymbolized identity; settles collisions of [`FrameId`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FrameHash(pub u128);

/// 128-bit hash over the frame hashes of a stack; settles collisions of [`StackId`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StackHash(pub u128);

impl FrameHash {
    /// The 64-bit id that travels.
    pub fn id(self) -> FrameId {
        FrameId(low_64(self.0))
    }

    /// The half that is not the id.
    pub fn high(self) -> u64 {
        low_64(self.0 >> 64)
    }

    /// Puts the halves together again.
    pub fn from_halves(id: FrameId, high: u64) -> Self {
        Self(u128::from(high) << 64 | u128::from(id.0))
    }
}

impl StackHash {
    /// The 64-bit id that travels.
    pub fn id(self) -> StackId {
        StackId(low_64(self.0))
    }

    /// The half that is not the id.
    pub fn high(self) -> u64 {
        low_64(self.0 >> 64)
    }

    /// Puts the halves together again.
    pub fn from_halves(id: StackId, high: u64) -> Self {
        Self(u128::from(high) << 64 | u128::from(id.0))
    }
}

/// Keeps the low half of a 128-bit hash.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn low_64(hash: u128) -> u64 {
    hash as u64
}
