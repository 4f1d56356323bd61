//! Files that hold code, and what identifies them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The linker's fingerprint of an object file (`NT_GNU_BUILD_ID`), 1 to 64 bytes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildId(Box<[u8]>);

impl BuildId {
    /// Longest build id this product keeps; the usual one has 20 bytes.
    pub const SIZE_BYTES_MAX: usize = 64;

    /// Takes the bytes of a build-id note; `None` when empty, all zero or too long.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let usable = !bytes.is_empty()
            && bytes.len() <= Self::SIZE_BYTES_MAX
            && bytes.iter().any(|byte| *byte != 0);
        usable.then(|| Self(bytes.into()))
    }

    /// The bytes of the note.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.to_string()
    }
}

/// A text that is not the hexadecimal form of a build id.
#[derive(Debug, thiserror::Error)]
#[error("a build id is 2 to 128 hexadecimal digits, not all zero")]
pub struct BuildIdError;

impl TryFrom<String> for BuildId {
    type Error = BuildIdError;

    fn try_from(text: String) -> Result<Self, BuildIdError> {
        let digits = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<Vec<u8>>>()
            .ok_or(BuildIdError)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        if rest.is_empty() {
            Self::new(&bytes)
        } else {
            None
        }
        .ok_or(BuildIdError)
    }
}

/// A file on disk that holds code, as a profile names it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Deserialize, Serialize)]
pub struct ObjectFile {
    /// Path as the process saw it; `[vdso]`, `[kernel]` or `[jit]` for code without a file.
    pub path: String,
    /// Absent when the file carries none.
    pub build_id: Option<BuildId>,
}

impl ObjectFile {
    /// The last component of the path: what a person calls the file.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}
