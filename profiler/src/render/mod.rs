//! Pictures and files: values in, bytes out.
//!
//! Job: turn a [`Profile`](crate::model::Profile) into every format the product writes, and the
//! formats it reads back into one. In: profiles or bytes. Out: bytes, text or profiles. Nothing
//! here touches the system; every reader is bounded by `limits`, and foreign bytes never panic.
//!
//! | Format | Writes | Reads |
//! |---|---|---|
//! | SVG | `svg` on top of `collapsed` | no: a picture |
//! | collapsed | `collapsed` | `collapsed` |
//! | pprof | `wire::pprof` | `wire::pprof` |
//! | speedscope | `speedscope` | `speedscope` |
//! | own JSON | `json` | `json` |

mod call_table;
mod collapsed;
mod diff;
mod format;
mod heap;
mod idle;
mod join;
mod json;
mod label;
mod limits;
mod output;
mod speedscope;
mod svg;
mod table;
mod units;

pub use self::{
    call_table::{calls, connections},
    collapsed::CollapsedError,
    diff::{Difference, DifferenceError, Normalize},
    format::{Format, FormatError, ReadError, WriteError, read, write, write_joined},
    heap::live_heap,
    idle::fold_idle,
    json::JsonError,
    limits::INPUT_SIZE_BYTES_MAX,
    output::path_for,
    speedscope::SpeedscopeError,
    svg::SvgError,
    table::{Weight, top, weights},
};
pub(crate) use self::{
    label::clean,
    units::{percent, quantity, share, thousands, to_f64},
};
