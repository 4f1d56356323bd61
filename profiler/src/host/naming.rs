//! Places of a window to names.
//!
//! Part of the composition root: it joins `process`, `object` and `symbolize`.
