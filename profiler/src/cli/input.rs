//! Reads a profile from a file or from standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    model::Profile,
    render::{self, Format, INPUT_SIZE_BYTES_MAX},
};

/// Reads the profile at `path` (`-`: standard input) in `format`, or in the one that its extension
/// or else its content tells.
///
/// # Errors
/// Each names the file.
pub fn read(path: &Path, format: Option<Format>) -> anyhow::Result<Profile> {
    let bytes = bytes_of(path).with_context(|| format!("cannot read {}", path.display()))?;
    let format = match format {
        Some(format) => format,
        None => match Format::from_path(path) {
            Ok(format) => format,
            Err(unknown) => Format::sniff(&bytes).ok_or(unknown)?,
        },
    };
    render::read(&bytes, format)
        .with_context(|| format!("cannot read {} as {format}", path.display()))
}

/// The bytes of a file or of standard input; at most one more than a reader accepts.
fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path)?)
    };
    let most = INPUT_SIZE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    source.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
