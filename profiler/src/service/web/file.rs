//! The files of the page, as the build packed them.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::limits::FILE_SIZE_BYTES_MAX;

/// One file.
#[derive(Debug)]
pub(in crate::service) struct PageFile {
    /// As asked for, with a slash in front.
    pub(in crate::service) path: &'static str,
    /// Packed by gzip.
    pub(in crate::service) gzip: &'static [u8],
    /// Packed by Brotli.
    pub(in crate::service) brotli: &'static [u8],
}

/// How a file travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::service) enum Packing {
    /// Brotli.
    Brotli,
    /// gzip.
    Gzip,
    /// As it is.
    Plain,
}

/// All files of the page; none in a build without it.
pub(in crate::service) static FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Endings of names, with what such files are.
const TYPES: [(&str, &str); 6] = [
    (".html", "text/html; charset=utf-8"),
    (".js", "text/javascript; charset=utf-8"),
    (".css", "text/css; charset=utf-8"),
    (".svg", "image/svg+xml"),
    (".json", "application/json"),
    (".webmanifest", "application/manifest+json"),
];

impl PageFile {
    /// The file of a path.
    pub(in crate::service) fn find(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// What the file is.
    pub(in crate::service) fn content_type(&self) -> &'static str {
        let known = TYPES.iter().find(|(ending, _)| self.path.ends_with(ending));
        known.map_or("application/octet-stream", |(_, content_type)| content_type)
    }

    /// The file unpacked, for the few who can unpack nothing.
    pub(in crate::service) fn plain(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = GzDecoder::new(self.gzip).take(FILE_SIZE_BYTES_MAX);
        reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Packing {
    /// The best one that a client takes, by its header `accept-encoding`.
    pub(in crate::service) fn best(accepted: &str) -> Self {
        let takes = |name: &str| accepted.split(',').any(|word| is_taken(word, name));
        if takes("br") {
            Self::Brotli
        } else if takes("gzip") {
            Self::Gzip
        } else {
            Self::Plain
        }
    }

    /// As the header `content-encoding` names it.
    pub(in crate::service) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Plain => None,
        }
    }
}

/// Whether a word of the header, such as `br;q=0.5`, stands for a packing and does not rule it out.
fn is_taken(word: &str, name: &str) -> bool {
    let (packing, parameters) = word.split_once(';').unwrap_or((word, ""));
    let weight = parameters.trim().strip_prefix("q=").map(str::parse::<f32>);
    let is_ruled_out = matches!(weight, Some(Ok(weight)) if weight <= 0.0);
    packing.trim().eq_ignore_ascii_case(name) && !is_ruled_out
}
