//! A file to a struct.

use std::{fs::File, io::Read as _, path::Path};

use serde::de::DeserializeOwned;

use super::ConfigError;

/// Largest configuration file. Guess: a thousand times the usual one.
const FILE_SIZE_BYTES_MAX: u64 = 1 << 20;

/// Reads a TOML file.
///
/// # Errors
/// It cannot be read, or what is wrong in which line.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_SIZE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}
