//! File offset to function, file, line and inlines.
