//! This product's own format: the whole profile, quality included, in a versioned envelope.
//!
//! ```text
//! {"format": "profiler", "version": 1, "profile": {…}}
//! ```
//!
//! Old reader, new data: a larger version is refused with both numbers; unknown fields of the same
//! version are skipped. New reader, old data: every field added later has a default.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use serde::{Deserialize, Serialize};

use super::limits::STACK_DEPTH_MAX;
use crate::model::{Profile, ProfileError};

/// Value of the field `format`.
const FORMAT: &str = "profiler";
/// Version written, and the largest one read.
const VERSION: u32 = 1;

/// Why a JSON profile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not the fields expected. The message carries line and column.
    #[error("not a profile of this product")]
    Syntax(#[source] serde_json::Error),
    /// JSON of something else.
    #[error("the field `format` says `{found}`, expected `{FORMAT}`")]
    Format {
        /// What it said.
        found: String,
    },
    /// Written by a newer product.
    #[error("version {found} of the format is newer than {VERSION}; update the profiler")]
    Version {
        /// What it said.
        found: u32,
    },
    /// The parts do not fit together.
    #[error("the profile contradicts itself")]
    Profile(#[source] ProfileError),
    /// A stack is deeper than any real one.
    #[error("stack {index}: more than {STACK_DEPTH_MAX} frames")]
    Depth {
        /// Which stack.
        index: usize,
    },
}

/// The envelope as it is written.
#[derive(Serialize)]
struct Written<'a> {
    format: &'static str,
    version: u32,
    profile: &'a Profile,
}

/// The part of the envelope that says whether the rest can be read.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// The rest of the envelope.
#[derive(Deserialize)]
struct Body {
    profile: Profile,
}

/// Writes one profile and a newline.
///
/// # Errors
/// None in practice: every part of a profile has a JSON form.
pub(super) fn write(profile: &Profile) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(&Written {
        format: FORMAT,
        version: VERSION,
        profile,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads one profile and checks that its parts fit together.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, JsonError> {
    let head: Head = serde_json::from_slice(bytes).map_err(JsonError::Syntax)?;
    if head.format != FORMAT {
        return Err(JsonError::Format { found: head.format });
    }
    if head.version > VERSION {
        return Err(JsonError::Version {
            found: head.version,
        });
    }
    let body: Body = serde_json::from_slice(bytes).map_err(JsonError::Syntax)?;
    let profile = body.profile;
    profile.validate().map_err(JsonError::Profile)?;
    let too_deep = |stack: &crate::model::Stack| stack.frames.len() > STACK_DEPTH_MAX;
    match profile.stacks.iter().position(too_deep) {
        Some(index) => Err(JsonError::Depth { index }),
        None => Ok(profile),
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonError, read};

    #[test]
    fn says_what_it_found_instead_of_a_profile() {
        let newer = read(br#"{"format":"profiler","version":2,"profile":null}"#);
        assert!(matches!(newer, Err(JsonError::Version { found: 2 })));
        let other = read(br#"{"format":"perf","version":1}"#);
        assert!(matches!(other, Err(JsonError::Format { found }) if found == "perf"));
        assert!(matches!(read(b"[1, 2"), Err(JsonError::Syntax(_))));
    }
}
