//! Bearer tokens, known by their hashes.

use std::{fmt::Write as _, fs::File, io::Read as _, path::Path};

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::{
    AccessError, Identity, Role,
    limits::{TOKEN_SIZE_BYTES_MAX, TOKENS_FILE_SIZE_BYTES_MAX},
};
use crate::config::{AccessConfig, RoleName};

/// Hash of a token.
type Hash = [u8; SHA256_OUTPUT_LEN];

/// One token.
#[derive(Debug)]
struct Token {
    hash: Hash,
    role: Role,
    identity: Identity,
}

/// All tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads the file and takes the tokens of the configuration.
    ///
    /// # Errors
    /// The line or token that cannot be used.
    pub(super) fn load(config: &AccessConfig) -> Result<Self, AccessError> {
        let mut tokens = Self::default();
        for (index, token) in config.tokens.iter().enumerate() {
            let role = role_of(token.role);
            tokens
                .add(role, &token.sha256, token.name.as_deref())
                .ok_or(AccessError::Hash { index })?;
        }
        if let Some(path) = &config.tokens_file {
            tokens.read_file(path)?;
        }
        Ok(tokens)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token this is. Takes as long whichever it is.
    pub(super) fn find(&self, token: &[u8]) -> Option<(Role, Identity)> {
        if TOKEN_SIZE_BYTES_MAX < token.len() {
            return None;
        }
        let hash = sha256(token);
        let mut found = None;
        for known in &self.0 {
            if is_equal(&known.hash, &hash) {
                found = Some((known.role, known.identity.clone()));
            }
        }
        found
    }

    /// Reads a file of lines `ROLE SHA256 [NAME]`; `#` starts a comment line.
    fn read_file(&mut self, path: &Path) -> Result<(), AccessError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| {
                file.take(TOKENS_FILE_SIZE_BYTES_MAX)
                    .read_to_string(&mut text)
            })
            .map_err(|source| AccessError::Read {
                path: path.to_owned(),
                source,
            })?;
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') && self.add_line(line).is_none() {
                return Err(AccessError::Line {
                    path: path.to_owned(),
                    line: place.saturating_add(1),
                });
            }
        }
        Ok(())
    }

    /// Adds the token of one line; `None` when it is none.
    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let role = match words.next()? {
            "read" => Role::Read,
            "write" => Role::Write,
            _ => return None,
        };
        let hash = words.next()?;
        let name = words.next();
        words.next().is_none().then_some(())?;
        self.add(role, hash, name)
    }

    /// Adds one token; `None` when the hash is none.
    fn add(&mut self, role: Role, sha256: &str, name: Option<&str>) -> Option<()> {
        let hash = parse_hash(sha256)?;
        let identity = Identity::of_token(name, &sha256.to_ascii_lowercase());
        self.0.push(Token {
            hash,
            role,
            identity,
        });
        Some(())
    }
}

/// The role that a configuration names.
pub(super) fn role_of(name: RoleName) -> Role {
    match name {
        RoleName::Read => Role::Read,
        RoleName::Write => Role::Write,
    }
}

/// SHA-256 of bytes, in hexadecimal digits: how tokens stand in files.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in sha256(bytes) {
        write!(text, "{byte:02x}").expect("a String takes every text");
    }
    text
}

/// SHA-256 of bytes.
fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Compares hashes without stopping at the first difference.
fn is_equal(left: &Hash, right: &Hash) -> bool {
    let difference = (left.iter().zip(right)).fold(0, |sum, (left, right)| sum | (left ^ right));
    std::hint::black_box(difference) == 0
}

/// A hash from 64 hexadecimal digits.
fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(digits) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::{AccessConfig, AccessError, Identity, Role, Tokens, sha256_hex};

    /// A file with a text.
    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// Tokens of a file.
    fn load(text: &str) -> Result<Tokens, AccessError> {
        let file = file(text);
        Tokens::load(&AccessConfig {
            tokens_file: Some(file.path().to_owned()),
            ..AccessConfig::default()
        })
    }

    #[test]
    fn a_hash_is_the_one_of_other_tools() {
        // printf abc | sha256sum
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(known, sha256_hex(b"abc"));
    }

    #[test]
    fn tokens_have_roles_and_names() {
        let hash = |token: &str| sha256_hex(token.as_bytes());
        let text = format!(
            "# fleet\nwrite {} fleet\n\nwrite {} fleet\nread {}\n",
            hash("a"),
            hash("b").to_uppercase(),
            hash("c")
        );
        let tokens = load(&text).unwrap();
        let fleet = Identity::of_token(Some("fleet"), "");
        assert_eq!(Some((Role::Write, fleet.clone())), tokens.find(b"a"));
        assert_eq!(Some((Role::Write, fleet)), tokens.find(b"b"));
        assert_eq!(Some(Role::Read), tokens.find(b"c").map(|(role, _)| role));
        assert_eq!(None, tokens.find(b"d"));
        assert_eq!(None, tokens.find(b""));
    }

    #[test]
    fn a_line_that_is_no_token_is_named() {
        let hash = sha256_hex(b"a");
        for line in ["admin x", "read", "read 12", &format!("read {hash} a b")] {
            let error = load(&format!("read {hash}\n{line}\n")).unwrap_err();
            assert!(
                matches!(error, AccessError::Line { line: 2, .. }),
                "{error}"
            );
        }
    }
}
