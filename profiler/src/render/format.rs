//! The formats: their names, and the way into each.

use std::{fmt, path::Path, str::FromStr};

use super::{
    CollapsedError, INPUT_SIZE_BYTES_MAX, JsonError, SpeedscopeError, SvgError, collapsed,
    join::join, json, speedscope, svg,
};
use crate::{model::Profile, wire::pprof};

/// A file format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Interactive flame graph; cannot be read back.
    Svg,
    /// One `comm;frame;frame N` line a stack.
    Collapsed,
    /// Gzipped protobuf of `go tool pprof`; read with and without gzip.
    Pprof,
    /// <https://www.speedscope.app>
    Speedscope,
    /// This product's own, with quality.
    Json,
}

/// Endings of file names. The first one that fits counts, so longer ones come first.
const EXTENSIONS: [(&str, Format); 8] = [
    (".speedscope.json", Format::Speedscope),
    (".pb.gz", Format::Pprof),
    (".pb", Format::Pprof),
    (".svg", Format::Svg),
    (".collapsed", Format::Collapsed),
    (".folded", Format::Collapsed),
    (".txt", Format::Collapsed),
    (".json", Format::Json),
];
/// First bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How much of a file is searched for what it says of itself.
const SNIFFED_BYTES: usize = 4096;

/// A format that is not known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormatError {
    /// The file name does not tell.
    #[error(
        "{path}: no extension of a known format; use .svg, .collapsed, .txt, .pb.gz, \
         .speedscope.json or .json, or name the format"
    )]
    Extension {
        /// The name.
        path: String,
    },
    /// No format is called so.
    #[error("no format `{name}`; there are {}", Format::NAMES.join(", "))]
    Name {
        /// The name.
        name: String,
    },
}

/// Why a profile could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The picture could not be drawn.
    #[error("svg")]
    Svg(#[source] SvgError),
    /// The profile has no JSON form.
    #[error("json")]
    Json(#[source] serde_json::Error),
    /// The profile could not be compressed.
    #[error("pprof")]
    Pprof(#[source] pprof::WriteError),
}

/// Why a profile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// More bytes than any profile has.
    #[error("{size_bytes} bytes are more than the {INPUT_SIZE_BYTES_MAX} a profile may have")]
    TooLarge {
        /// How many.
        size_bytes: usize,
    },
    /// Pictures are written only.
    #[error("svg is a picture and cannot be read back; keep a .json, .pb.gz or .collapsed too")]
    Picture,
    /// Not what the format asks for.
    #[error("collapsed stacks")]
    Collapsed(#[source] CollapsedError),
    /// Not what the format asks for.
    #[error("pprof")]
    Pprof(#[source] pprof::ReadError),
    /// Not what the format asks for.
    #[error("speedscope")]
    Speedscope(#[source] SpeedscopeError),
    /// Not what the format asks for.
    #[error("json")]
    Json(#[source] JsonError),
}

impl Format {
    /// The names for `--format`.
    pub const NAMES: [&'static str; 5] = ["svg", "collapsed", "pprof", "speedscope", "json"];

    /// The format that a file name's extension stands for.
    ///
    /// # Errors
    /// [`FormatError::Extension`] when it stands for none.
    pub fn from_path(path: &Path) -> Result<Self, FormatError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let known = EXTENSIONS.iter().find(|(end, _)| name.ends_with(end));
        known
            .map(|(_, format)| *format)
            .ok_or_else(|| FormatError::Extension {
                path: path.display().to_string(),
            })
    }

    /// The format that the content says it has, for inputs whose name does not tell.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let start = bytes.get(..SNIFFED_BYTES).unwrap_or(bytes);
        let says = |word: &[u8]| start.windows(word.len()).any(|window| window == word);
        if start.starts_with(&GZIP_MAGIC) {
            Some(Self::Pprof)
        } else if start.trim_ascii_start().starts_with(b"{") {
            Some(if says(b"speedscope") {
                Self::Speedscope
            } else {
                Self::Json
            })
        } else {
            None
        }
    }

    /// The part of a file name that stands for its format; what follows the last dot when none is
    /// known; empty without a dot.
    pub(super) fn extension_of(name: &str) -> &str {
        let known = EXTENSIONS.iter().find(|(end, _)| name.ends_with(end));
        let start = match known {
            Some((end, _)) => Some(name.len() - end.len()),
            None => name.rfind('.'),
        };
        start.and_then(|start| name.get(start..)).unwrap_or("")
    }

    /// Its name for `--format`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Collapsed => "collapsed",
            Self::Pprof => "pprof",
            Self::Speedscope => "speedscope",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        match name {
            "svg" => Ok(Self::Svg),
            "collapsed" => Ok(Self::Collapsed),
            "pprof" => Ok(Self::Pprof),
            "speedscope" => Ok(Self::Speedscope),
            "json" => Ok(Self::Json),
            _ => Err(FormatError::Name {
                name: name.to_owned(),
            }),
        }
    }
}

/// Writes a profile in a format.
///
/// # Errors
/// The picture could not be drawn; the other formats take every profile.
pub fn write(profile: &Profile, format: Format) -> Result<Vec<u8>, WriteError> {
    match format {
        Format::Svg => svg::write(profile).map_err(WriteError::Svg),
        Format::Collapsed => Ok(collapsed::write(profile).into_bytes()),
        Format::Pprof => pprof::write(profile).map_err(WriteError::Pprof),
        Format::Speedscope => speedscope::write(profile).map_err(WriteError::Json),
        Format::Json => json::write(profile).map_err(WriteError::Json),
    }
}

/// Writes profiles of several signals into one; absent for a format that cannot hold them all.
///
/// # Errors
/// None in practice.
pub fn write_joined(profiles: &[Profile], format: Format) -> Option<Result<Vec<u8>, WriteError>> {
    match format {
        Format::Pprof => {
            Some(pprof::write_joined(&join(profiles), profiles).map_err(WriteError::Pprof))
        }
        Format::Svg | Format::Collapsed | Format::Speedscope | Format::Json => None,
    }
}

/// Reads a profile; [`Profile::validate`] holds for what comes back.
///
/// # Errors
/// What does not fit the format, and where.
pub fn read(bytes: &[u8], format: Format) -> Result<Profile, ReadError> {
    if bytes.len() > INPUT_SIZE_BYTES_MAX {
        return Err(ReadError::TooLarge {
            size_bytes: bytes.len(),
        });
    }
    match format {
        Format::Svg => Err(ReadError::Picture),
        Format::Collapsed => collapsed::read(bytes).map_err(ReadError::Collapsed),
        Format::Pprof => pprof::read(bytes).map_err(ReadError::Pprof),
        Format::Speedscope => speedscope::read(bytes).map_err(ReadError::Speedscope),
        Format::Json => json::read(bytes).map_err(ReadError::Json),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Format, FormatError};

    #[test]
    fn the_longest_extension_decides() {
        let of = |name: &str| Format::from_path(Path::new(name));
        assert_eq!(Ok(Format::Speedscope), of("d/a.speedscope.json"));
        assert_eq!(Ok(Format::Json), of("a.json"));
        assert_eq!(Ok(Format::Pprof), of("a.pb.gz"));
        assert_eq!(Ok(Format::Collapsed), of("a.txt"));
        assert!(matches!(of("a.png"), Err(FormatError::Extension { .. })));
        assert!(matches!(of("-"), Err(FormatError::Extension { .. })));
    }

    #[test]
    fn every_name_is_a_format() {
        for name in Format::NAMES {
            assert_eq!(Ok(name), name.parse().map(Format::as_str));
        }
        "otlp".parse::<Format>().unwrap_err();
    }

    #[test]
    fn content_tells_its_format() {
        assert_eq!(Some(Format::Pprof), Format::sniff(&[0x1f, 0x8b, 8]));
        let speedscope = br#"{"$schema":"https://www.speedscope.app/file-format-schema.json"}"#;
        assert_eq!(Some(Format::Speedscope), Format::sniff(speedscope));
        assert_eq!(Some(Format::Json), Format::sniff(b" {\"format\":1}"));
        assert_eq!(None, Format::sniff(b"main;f 1\n"));
    }
}
