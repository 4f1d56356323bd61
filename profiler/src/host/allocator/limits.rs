//! Bounds of this stage.

/// Bytes at the start of a function in which the cheapest instruction is looked for: what it does
/// before its first branch is rarely longer.
pub(super) const PROLOGUE_SIZE_BYTES_MAX: usize = 48;
/// Bytes of a function that are searched for jumps to others: allocators' own are below 8 KiB.
pub(super) const FUNCTION_SIZE_BYTES_MAX: u64 = 64 << 10;
/// Functions of one allocator that are probed: the C names, the C++ operators and an allocator's own
/// names together are about sixty.
pub(super) const FUNCTIONS_MAX: usize = 96;
