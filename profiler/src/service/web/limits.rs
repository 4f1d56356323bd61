//! Bounds on what is handed out.

/// Largest file of the page, unpacked. The largest one has some 60 KB; this is for clients that can
/// unpack nothing.
pub(super) const FILE_SIZE_BYTES_MAX: u64 = 8 << 20;
