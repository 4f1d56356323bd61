//! The web page.
//!
//! Job: hand out the files of the page, which are part of the program. In: a path and what the
//! browser understands. Out: packed files with the headers that keep a page to itself.
//! **Invariant:** holds no data and asks for none: everything shown comes over the same gRPC that
//! others use, with the same access checks.
//!
//! The page is written in `web/` at the root of the repository. A build without it says so.

mod answer;
pub(super) mod file;
mod limits;

pub use self::answer::routes;
