//! Bounds on what is read from one object file, each with the reason for its size.

/// Program headers of one object. Linkers write about a dozen; a guess with room to spare.
pub(super) const PROGRAM_HEADERS_MAX: usize = 128;
/// Section headers of one object. Linked objects have fewer than 100; kernels several hundred.
pub(super) const SECTIONS_MAX: usize = 4_096;
/// Bytes of one section that is read whole, after decompression. The call frame information of
/// a 150 MB compiler is 14 MB; a guess with room to spare.
pub(super) const SECTION_SIZE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of one note segment or section. The usual ones have less than 200.
pub(super) const NOTES_SIZE_BYTES_MAX: u64 = 64 << 10;
/// Notes looked at in one object.
pub(super) const NOTES_MAX: usize = 256;
/// Bytes of the dynamic table: 16 each, a few dozen in practice.
pub(super) const DYNAMIC_SIZE_BYTES_MAX: u64 = 16 << 10;
/// Bytes of a debug link: a file name and a checksum.
pub(super) const DEBUG_LINK_SIZE_BYTES_MAX: u64 = 4 << 10;
