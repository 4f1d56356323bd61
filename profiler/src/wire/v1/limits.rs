//! Bounds on what is received. A sender keeps them by sending more, smaller batches.

/// Largest message on the ingest stream, decompressed. The definitions of a first window of a busy
/// 64-core host take some 6 MiB.
pub const MESSAGE_SIZE_BYTES_MAX: usize = 16 << 20;

/// Longest string: a demangled name, a path (`PATH_MAX`), the value of a label.
pub const STRING_SIZE_BYTES_MAX: usize = 4096;

/// Most strings of one batch. Guess: three for each frame of a first window of a large host.
pub const STRINGS_MAX: usize = 256 << 10;

/// Most object files of one batch. Guess: ten times what a host with 1,000 containers has mapped.
pub const OBJECTS_MAX: usize = 64 << 10;

/// Most frames that one batch defines. Guess: twice the largest first window met so far.
pub const FRAMES_MAX: usize = 128 << 10;

/// Most stacks that one batch defines: a window's table holds no more.
pub const STACKS_MAX: usize = 128 << 10;

/// Deepest stack: 512 user and 127 kernel frames, the mark of a cut, and room for a later daemon.
pub const STACK_DEPTH_FRAMES_MAX: usize = 1024;

/// Most names of one frame: as deep as functions are inlined into each other. Guess.
pub const LINES_PER_FRAME_MAX: usize = 256;

/// Most names of all frames of one batch. Guess: eight for each frame.
pub const LINES_MAX: usize = 1 << 20;

/// Most windows of one batch. Guess: a spool of ten minutes, five signals.
pub const WINDOWS_MAX: usize = 300;

/// Most series of one batch. Guess: every thread of a large host, named.
pub const SERIES_MAX: usize = 64 << 10;

/// Most value types of one window. A Go heap profile has 4.
pub const VALUE_TYPES_MAX: usize = 16;

/// Most labels of one series. Guess: twice what a Kubernetes pod with many labels has.
pub const LABELS_MAX: usize = 64;

/// Longest name of a label, of a signal, of a kind or of a unit. Guess.
pub const NAME_SIZE_BYTES_MAX: usize = 128;

/// Most values of one batch. Guess: eight for each stack of a window's table.
pub const VALUES_MAX: usize = 1 << 20;

/// Largest value: what a signed column holds.
pub const VALUE_MAX: u64 = i64::MAX.unsigned_abs();

/// Most causes or reasons of one window's quality. There are some ten of each.
pub const CAUSES_MAX: usize = 64;

/// Longest window: a day. Guess; daemons use 10 s.
pub const WINDOW_DURATION_NS_MAX: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Longest host name, as DNS has it.
pub const HOST_SIZE_BYTES_MAX: usize = 253;

/// Most processes that a burst is for. Guess.
pub const BURST_PIDS_MAX: usize = 1024;

const _: () = assert!(NAME_SIZE_BYTES_MAX <= STRING_SIZE_BYTES_MAX);
const _: () = assert!(FRAMES_MAX < STRINGS_MAX && LINES_PER_FRAME_MAX < LINES_MAX);
