//! Naming of programs with known answers, built here with the system's compilers.

mod build;
mod hostile;
mod names;
mod sources;
