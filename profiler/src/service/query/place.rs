//! What one level of a merged tree is called.

use std::sync::Arc;

use crate::model::{FrameDefinition, FrameKind, Location, Naming, ObjectFile};

/// What a cut stack ends in.
const CUT: &str = "[truncated]";
/// What a stack without a definition is called.
const UNKNOWN: &str = "[unknown]";

/// One level of a merged tree: frames that are called the same are the same level.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// Demangled name; `[file+0xoffset]` without one.
    pub function: Arc<str>,
    /// Source file; empty when unknown.
    pub file: Arc<str>,
    /// Name of the object file, without its folders; empty when there is none.
    pub module: Arc<str>,
    /// Where the code came from.
    pub kind: FrameKind,
    /// True for a function that was inlined into its caller.
    pub is_inlined: bool,
}

impl Place {
    /// The level of a stack that was cut above.
    fn cut(why: &str) -> Self {
        Self {
            function: why.into(),
            file: "".into(),
            module: "".into(),
            kind: FrameKind::Truncated,
            is_inlined: false,
        }
    }

    /// The one level of a stack whose definition is not known.
    pub(super) fn unknown() -> Self {
        Self::cut(UNKNOWN)
    }
}

/// The levels that a frame stands for, outermost first: more than one when functions were inlined.
pub(super) fn places_of(frame: &FrameDefinition) -> Vec<Place> {
    let module = (frame.object.as_ref()).map_or("", ObjectFile::file_name);
    match &frame.naming {
        _ if frame.kind == FrameKind::Truncated => vec![Place::cut(&cut_text(&frame.naming))],
        Naming::Unnamed(_) => vec![Place {
            function: place_text(module, frame.address).into(),
            file: "".into(),
            module: module.into(),
            kind: frame.kind,
            is_inlined: false,
        }],
        Naming::Named(locations) => {
            let module: Arc<str> = module.into();
            let outermost = locations.len().saturating_sub(1);
            let place = |(index, location): (usize, &Location)| Place {
                function: location.function.as_str().into(),
                file: location.file.as_deref().unwrap_or_default().into(),
                module: Arc::clone(&module),
                kind: frame.kind,
                is_inlined: index < outermost,
            };
            locations.iter().enumerate().rev().map(place).collect()
        }
    }
}

/// Why a stack was cut, where its mark says so.
fn cut_text(naming: &Naming) -> String {
    match naming {
        Naming::Named(locations) => match locations.first() {
            Some(why) if why.function.starts_with('[') => why.function.clone(),
            Some(why) => format!("[truncated: {}]", why.function),
            None => CUT.to_owned(),
        },
        Naming::Unnamed(_) => CUT.to_owned(),
    }
}

/// Where a frame without a name is.
fn place_text(module: &str, address: u64) -> String {
    let module = module.trim_start_matches('[').trim_end_matches(']');
    if module.is_empty() {
        format!("[{address:#x}]")
    } else {
        format!("[{module}+{address:#x}]")
    }
}
