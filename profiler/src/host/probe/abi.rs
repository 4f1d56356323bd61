//! One unsafe impl for the whole kernel ABI.
#![expect(
    unsafe_code,
    reason = "the only Pod impl; zerocopy's derives carry the proof"
)]

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A kernel ABI value, as `aya` maps want it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Abi<T>(pub(super) T);

// SAFETY: `Abi` is `repr(transparent)` over `T`. `FromBytes` says every bit pattern is a `T`,
// `IntoBytes` says `T` has no padding, so copying it to and from a BPF map is sound.
unsafe impl<T: Copy + FromBytes + IntoBytes + Immutable + 'static> aya::Pod for Abi<T> {}
