//! Three address spaces that must never be mixed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines one address newtype.
macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
        )]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// Address in the memory of a process (or of the kernel), as the CPU saw it.
    Avma
}
address! {
    /// Address an object file was linked for, before the loader moved it.
    Svma
}
address! {
    /// Offset in an object file, bytes from its start.
    FileOffset
}
