//! Bounds on what is read and drawn.

/// Largest input that a reader accepts. Guess: ten times the largest profile met so far, and
/// small enough that its decoded form fits in memory.
pub const INPUT_SIZE_BYTES_MAX: usize = 256 << 20;

/// Deepest stack that a reader accepts. Guess: 16 times the deepest that the probe can take
/// (127 user and 127 kernel frames), with room for inlined functions and other profilers.
pub(super) const STACK_DEPTH_MAX: usize = 16 * 1024;

/// Frames in all stacks of a file together, where the format can repeat a stack for a few bytes.
/// Guess: a million stacks of 64 frames.
pub(super) const FRAMES_READ_MAX: usize = 64 << 20;

/// Rectangles in one picture; beyond, the narrowest are left out. Chromium took 12 s until it could
/// be used with twice as many, on two cores that five builds were busy on.
pub(super) const RECTANGLES_MAX: usize = 25_000;

/// Narrowest rectangle in a picture, in pixels at [`PICTURE_WIDTH_PIXELS`].
pub(super) const RECTANGLE_WIDTH_PIXELS_MIN: f64 = 0.1;

/// Width that a picture is laid out for; in a browser it fills the window.
pub(super) const PICTURE_WIDTH_PIXELS: f64 = 1200.0;

/// Largest total that a picture is drawn with. Above it numbers lose digits in the picture's
/// script, which knows only floating point.
pub(super) const PICTURE_TOTAL_MAX: u64 = 1 << 50;
