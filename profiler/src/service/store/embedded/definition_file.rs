//! Files of definitions: magic, CRC-32C of the rest, then Zstandard of the store's own encoding.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use super::{
    codec::{decode_definitions, encode_definitions},
    files::{file_error, write_error},
};
use crate::{model::Definitions, service::store::StoreError};

/// Start of each file.
const MAGIC: [u8; 4] = *b"PrD1";

/// Writes definitions. Stacks are put in order of their outermost frames, so that neighbours share
/// their beginnings.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_definitions(
    (file, path): (&mut File, &Path),
    mut definitions: Definitions,
) -> Result<(), StoreError> {
    /// What Parquet parts use too.
    const LEVEL: i32 = 3;
    (definitions.stacks).sort_by(|a, b| a.frames.iter().rev().cmp(b.frames.iter().rev()));
    let packed = zstd::bulk::compress(&encode_definitions(&definitions), LEVEL);
    let written = packed.and_then(|packed| {
        file.write_all(&MAGIC)?;
        file.write_all(&crc32c::crc32c(&packed).to_le_bytes())?;
        file.write_all(&packed)
    });
    written.map_err(|error| write_error(path, &error))
}

/// Reads definitions.
///
/// # Errors
/// The file cannot be read, or was changed.
pub(super) fn read_definitions(path: &Path) -> Result<Definitions, StoreError> {
    let bytes = fs::read(path).map_err(|error| file_error(path, &error))?;
    let bad = |reason: &str| StoreError::File {
        path: path.display().to_string(),
        reason: reason.to_owned(),
    };
    let rest = bytes.strip_prefix(&MAGIC);
    let rest = rest.ok_or_else(|| bad("not a file of definitions"))?;
    let (checksum, packed) = rest.split_first_chunk().ok_or_else(|| bad("too short"))?;
    if crc32c::crc32c(packed) != u32::from_le_bytes(*checksum) {
        return Err(bad("the checksum is wrong"));
    }
    let bytes = zstd::stream::decode_all(packed).map_err(|error| file_error(path, &error))?;
    decode_definitions(&bytes).map_err(|error| file_error(path, &error))
}
