//! The kernel contract: what the probe and the daemon both know.
//!
//! Every type says who writes it and who reads it. All are plain bytes: fixed-size integers, no
//! padding, any bit pattern valid; codes are numbers here and enums on the reading side.
#![no_std]
#![forbid(unsafe_code)]

pub mod alloc;
pub mod counter;
pub mod departure;
pub mod limits;
pub mod mapping;
pub mod notice;
pub mod probe_config;
pub mod sample;
pub mod system_call;
pub mod table;
pub mod tcp;
pub mod thinning;
pub mod unwind_row;

/// Version of everything in this crate. The daemon refuses a probe that was built for another.
pub const ABI_VERSION: u32 = 3;

/// Defines an enum whose codes both sides share, with the way from number to variant.
#[macro_export]
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $int:ty { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr($int)]
        pub enum $name { $($(#[$variant_doc])* $variant = $code,)* }

        impl $name {
            /// Every variant, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }

        impl TryFrom<$int> for $name {
            type Error = $int;

            fn try_from(code: $int) -> Result<Self, $int> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    unknown => Err(unknown),
                }
            }
        }
    };
}
