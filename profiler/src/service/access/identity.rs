//! Who asks.

use std::{fmt, sync::Arc};

use super::tokens::sha256_hex;

/// What a request needs its sender to be allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Ask.
    Read,
    /// Deliver, and manage the store.
    Write,
}

/// Who asks. Goes with every request that passed the guard.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Identity(Arc<str>);

/// Certificate of the peer of a connection, checked by TLS.
#[derive(Clone, Debug)]
pub struct PeerCertificate(pub Arc<[u8]>);

/// Anyone, where nobody needs a name.
const ANYONE: &str = "anyone";

/// Tag of the version in a certificate.
const VERSION_TAG: u8 = 0xa0;

/// How many hexadecimal digits of a hash stand for who has it.
const HASH_DIGITS: usize = 32;

impl Identity {
    /// Anyone: where there are neither tokens nor certificates.
    pub fn anyone() -> Self {
        Self(ANYONE.into())
    }

    /// Whether this is anyone.
    pub fn is_anyone(&self) -> bool {
        &*self.0 == ANYONE
    }

    /// The bearers of all tokens of one name; without a name, of one token.
    pub(super) fn of_token(name: Option<&str>, sha256: &str) -> Self {
        let who = name.unwrap_or(sha256.get(..HASH_DIGITS).unwrap_or(sha256));
        Self(format!("token:{who}").into())
    }

    /// The holder of a certificate: whom it names, so that a renewed one is the same client.
    pub(super) fn of_certificate(certificate: &[u8]) -> Self {
        let hash = sha256_hex(subject(certificate).unwrap_or(certificate));
        let who = hash.get(..HASH_DIGITS).unwrap_or(&hash);
        Self(format!("certificate:{who}").into())
    }

    /// An identity as it was written down before.
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The bytes of the subject of an X.509 certificate.
///
/// Source: RFC 5280 §4.1: a sequence whose first part is a sequence of version (tag 0, optional),
/// serial number, algorithm, issuer, validity and subject.
fn subject(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = der(certificate)?;
    let (mut parts, _) = der(certificate)?;
    if parts.first() == Some(&VERSION_TAG) {
        parts = der(parts)?.1;
    }
    for _before_subject in 0..4 {
        parts = der(parts)?.1;
    }
    Some(der(parts)?.0).filter(|subject| !subject.is_empty())
}

/// Two parts of the same bytes.
type Parts<'a> = (&'a [u8], &'a [u8]);

/// Content of the first value of DER, and what follows it.
fn der(bytes: &[u8]) -> Option<Parts<'_>> {
    let (_tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = (digits.iter().take(4)).fold(0, |sum, digit| sum << 8 | usize::from(*digit));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((content, rest))
}

#[cfg(test)]
mod tests {
    use super::{Identity, subject};

    /// A certificate's shape: serial, algorithm, issuer, validity, subject.
    fn certificate(serial: u8, name: u8) -> Vec<u8> {
        let mut parts = vec![0xa0, 3, 2, 1, 2, 2, 1, serial, 0x30, 0, 0x30, 0, 0x30, 0];
        parts.extend([0x30, 1, name]);
        let length = u8::try_from(parts.len()).unwrap();
        let mut tbs = vec![0x30, length];
        tbs.extend(parts);
        let length = u8::try_from(tbs.len()).unwrap();
        let mut all = vec![0x30, 0x81, length];
        all.extend(tbs);
        all
    }

    #[test]
    fn a_renewed_certificate_is_the_same_client() {
        assert_eq!(Some(&[7][..]), subject(&certificate(1, 7)));
        let of = |serial, name| Identity::of_certificate(&certificate(serial, name));
        assert_eq!(of(1, 7), of(2, 7));
        assert_ne!(of(1, 7), of(1, 8));
    }

    #[test]
    fn what_is_no_certificate_is_told_apart_by_its_bytes() {
        for length in 0..certificate(1, 1).len() {
            assert_eq!(None, subject(&certificate(1, 1)[..length]));
        }
        assert_ne!(
            Identity::of_certificate(b"a"),
            Identity::of_certificate(b"b")
        );
    }
}
