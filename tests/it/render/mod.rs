//! Formats: golden files, round trips, hostile input, and other people's tools.

mod browser;
mod formats;
mod full_disk;
mod go_pprof;
mod hostile;
mod sample;
mod tool;
