//! Bodies of uploads: unpacked, and taken out of a form.

use std::{borrow::Cow, io::Read as _};

use axum::http::{HeaderMap, HeaderValue, header};
use flate2::bufread::MultiGzDecoder;

use super::{UploadError, limits::UNPACKED_SIZE_BYTES_MAX};

/// Names of the part of a form that holds the profile.
const FILE_PARTS: [&str; 2] = ["name=\"profile\"", "name=profile"];

/// A body as it was before it was packed for the way.
pub(super) struct Unpacked<'a>(Cow<'a, [u8]>);

impl<'a> Unpacked<'a> {
    /// Unpacks a body as its head says.
    ///
    /// # Errors
    /// It is damaged, too large, or packed in a way that is not taken.
    pub(super) fn new(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, UploadError> {
        let encoding = headers.get(header::CONTENT_ENCODING);
        match encoding.map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => Ok(Self(Cow::Borrowed(body))),
            Some(b"gzip") => Ok(Self(Cow::Owned(unpack(body)?))),
            Some(_) => Err(UploadError::Encoding),
        }
    }

    /// The body.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Unpacks gzip, up to a bound.
fn unpack(body: &[u8]) -> Result<Vec<u8>, UploadError> {
    let mut bytes = Vec::new();
    let most = (UNPACKED_SIZE_BYTES_MAX as u64).saturating_add(1);
    (MultiGzDecoder::new(body).take(most))
        .read_to_end(&mut bytes)
        .map_err(UploadError::Gzip)?;
    if UNPACKED_SIZE_BYTES_MAX < bytes.len() {
        return Err(UploadError::TooLarge);
    }
    Ok(bytes)
}

/// The file in a form; `None` when the body is no form or has no such part.
pub(super) fn multipart_file<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<&'a [u8]> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let rest = content_type.strip_prefix("multipart/form-data")?;
    let boundary = rest.split("boundary=").nth(1)?.split(';').next()?;
    let delimiter = format!("--{}", boundary.trim().trim_matches('"'));
    let mut rest = body;
    while let Some(start) = find(rest, delimiter.as_bytes()) {
        let part = rest.get(start.checked_add(delimiter.len())?..)?;
        let head_end = find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(part.get(..head_end)?).to_lowercase();
        let content = part.get(head_end.checked_add(4)?..)?;
        if FILE_PARTS.iter().any(|name| head.contains(name)) {
            let end = find(content, format!("\r\n{delimiter}").as_bytes())?;
            return content.get(..end);
        }
        rest = content;
    }
    None
}

/// Where a text starts in bytes.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, header};

    use super::multipart_file;

    #[test]
    fn the_profile_of_a_form_is_found() {
        let mut headers = HeaderMap::new();
        let kind = "multipart/form-data; boundary=XX".parse().unwrap();
        headers.insert(header::CONTENT_TYPE, kind);
        let body = b"--XX\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nno\r\n--XX\r\n\
            Content-Disposition: form-data; name=\"profile\"; filename=\"p\"\r\n\r\n\x1f\x8b\0\r\n--XX--\r\n";
        assert_eq!(Some(&b"\x1f\x8b\0"[..]), multipart_file(&headers, body));
        for end in 0..body.len() - 10 {
            assert_eq!(None, multipart_file(&headers, &body[..end]));
        }
    }
}
