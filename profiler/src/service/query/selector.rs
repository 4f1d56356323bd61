//! Selectors in the style of `PromQL`: text in, conditions on labels out.
//!
//! ```text
//! selector = [ "{" [ matcher { "," matcher } [ "," ] ] "}" ]
//! matcher  = name ( "=" | "!=" | "=~" | "!~" ) string
//! name     = letter or "_", then letters, digits or "_"; or a string
//! string   = '"' … '"' | "'" … "'" with escapes, or "`" … "`" as it stands
//! ```

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{iter::Peekable, str::Chars};

use super::limits::{MATCHERS_MAX, SELECTOR_SIZE_BYTES_MAX};
use crate::model::{MatchKind, Matcher};

/// A selector that cannot be understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("selector, column {column}: {problem}")]
pub struct SelectorError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: SelectorProblem,
}

/// What is wrong with a selector.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SelectorProblem {
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What would fit.
        expected: &'static str,
        /// The character there, or the end.
        found: Found,
    },
    /// A string does not end.
    #[error("this string has no closing {quote}")]
    OpenString {
        /// The quote that it began with.
        quote: char,
    },
    /// An escape that there is not.
    #[error("expected an escape like \\n, \\\\, \\\", \\x41, \\101 or \\u00e9")]
    Escape,
    /// Escaped bytes do not make text.
    #[error("the escaped bytes of this string are not UTF-8")]
    NotText,
    /// The name of a label is empty.
    #[error("the name of a label is empty")]
    EmptyName,
    /// More conditions than anyone needs.
    #[error("more than {MATCHERS_MAX} conditions")]
    TooMany,
    /// Longer than anyone needs.
    #[error("longer than {SELECTOR_SIZE_BYTES_MAX} bytes")]
    TooLong,
}

/// What stood where something else was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// A character.
    Char(char),
    /// Nothing more.
    End,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Escaped, so that a control character does no harm in a terminal.
            Self::Char(c) => write!(f, "`{}`", c.escape_debug()),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Reads a selector; an empty one, and `{}`, give no conditions: everything is selected.
///
/// # Errors
/// The first thing that does not fit, with its column. Regular expressions are not looked into.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, SelectorError> {
    if text.len() > SELECTOR_SIZE_BYTES_MAX {
        return Err(SelectorError {
            column: SELECTOR_SIZE_BYTES_MAX.saturating_add(1),
            problem: SelectorProblem::TooLong,
        });
    }
    let mut reader = Reader {
        rest: text.chars().peekable(),
        column: 1,
    };
    reader.skip_space();
    if reader.peek().is_none() {
        return Ok(Vec::new());
    }
    reader.expect('{', "`{`, as in {service=\"api\"}")?;
    let matchers = reader.matchers()?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(matchers),
        Some(_) => Err(reader.unexpected("nothing after `}`")),
    }
}

/// Where the reading is.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// Of the next character, from 1.
    column: usize,
}

impl Reader<'_> {
    /// The next character.
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    /// Takes the next character.
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        self.column = self.column.saturating_add(1);
        Some(next)
    }

    /// Takes the next character if it is this one.
    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.next();
        }
        is_there
    }

    /// Skips what separates words.
    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// An error at the next character.
    fn error(&self, problem: SelectorProblem) -> SelectorError {
        SelectorError {
            column: self.column,
            problem,
        }
    }

    /// The error that something else should stand here.
    fn unexpected(&mut self, expected: &'static str) -> SelectorError {
        let found = self.peek().map_or(Found::End, Found::Char);
        self.error(SelectorProblem::Unexpected { expected, found })
    }

    /// Takes a character that must be there.
    fn expect(&mut self, wanted: char, expected: &'static str) -> Result<(), SelectorError> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// The conditions up to and with the closing brace.
    fn matchers(&mut self) -> Result<Vec<Matcher>, SelectorError> {
        let mut matchers = Vec::new();
        loop {
            self.skip_space();
            if self.take('}') {
                return Ok(matchers);
            }
            if matchers.len() >= MATCHERS_MAX {
                return Err(self.error(SelectorProblem::TooMany));
            }
            matchers.push(self.matcher()?);
            self.skip_space();
            if !self.take(',') {
                self.expect('}', "`,` or `}`")?;
                return Ok(matchers);
            }
        }
    }

    /// One condition.
    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let name = self.name()?;
        self.skip_space();
        let kind = self.match_kind()?;
        self.skip_space();
        let value = self.string("a string in quotes")?;
        Ok(Matcher { name, kind, value })
    }

    /// The name of a label.
    fn name(&mut self) -> Result<String, SelectorError> {
        let start = self.column;
        match self.peek() {
            Some('"' | '\'' | '`') => {
                let name = self.string("the name of a label")?;
                if name.is_empty() {
                    return Err(SelectorError {
                        column: start,
                        problem: SelectorProblem::EmptyName,
                    });
                }
                Ok(name)
            }
            Some(first) if first == '_' || first.is_ascii_alphabetic() => {
                let mut name = String::new();
                while let Some(c) = self.peek()
                    && (c == '_' || c.is_ascii_alphanumeric())
                {
                    name.push(c);
                    self.next();
                }
                Ok(name)
            }
            Some(_) | None => Err(self.unexpected("the name of a label")),
        }
    }

    /// How a label is compared.
    fn match_kind(&mut self) -> Result<MatchKind, SelectorError> {
        const EXPECTED: &str = "`=`, `!=`, `=~` or `!~`";
        if self.take('=') {
            return Ok(if self.take('~') {
                MatchKind::Regex
            } else {
                MatchKind::Equal
            });
        }
        if !self.take('!') {
            return Err(self.unexpected(EXPECTED));
        }
        if self.take('~') {
            Ok(MatchKind::NotRegex)
        } else {
            self.expect('=', EXPECTED)?;
            Ok(MatchKind::NotEqual)
        }
    }

    /// A string with its quotes taken off and its escapes resolved.
    fn string(&mut self, expected: &'static str) -> Result<String, SelectorError> {
        let start = self.column;
        let open = |quote| SelectorError {
            column: start,
            problem: SelectorProblem::OpenString { quote },
        };
        let Some(quote @ ('"' | '\'' | '`')) = self.peek() else {
            return Err(self.unexpected(expected));
        };
        self.next();
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None => return Err(open(quote)),
                Some('\n') if quote != '`' => return Err(open(quote)),
                Some(c) if c == quote => {
                    self.next();
                    break;
                }
                Some('\\') if quote != '`' => {
                    self.next();
                    self.escape(&mut bytes)?;
                }
                Some(c) => {
                    self.next();
                    push_char(&mut bytes, c);
                }
            }
        }
        String::from_utf8(bytes).map_err(|_not_text| SelectorError {
            column: start,
            problem: SelectorProblem::NotText,
        })
    }

    /// What follows a backslash.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), SelectorError> {
        let plain = match self.peek() {
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 0x0b,
            Some('\\') => b'\\',
            Some('\'') => b'\'',
            Some('"') => b'"',
            Some(_) | None => return self.numeric_escape(bytes),
        };
        self.next();
        bytes.push(plain);
        Ok(())
    }

    /// A byte (`\x41`, `\101`) or a character (`\u00e9`, `\U0001f525`) by its number.
    fn numeric_escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), SelectorError> {
        let column = self.column;
        let wrong = SelectorError {
            column,
            problem: SelectorProblem::Escape,
        };
        let (radix, digits, is_char) = match self.peek() {
            Some('x') => (16, 2, false),
            Some('u') => (16, 4, true),
            Some('U') => (16, 8, true),
            Some('0'..='7') => (8, 3, false),
            Some(_) | None => return Err(wrong),
        };
        if radix == 16 {
            self.next();
        }
        let mut number: u32 = 0;
        for _ in 0..digits {
            let digit = (self.peek()).and_then(|c| c.to_digit(radix));
            let Some(digit) = digit else {
                return Err(wrong);
            };
            self.next();
            // Eight hexadecimal digits are just 32 bits.
            number = number.wrapping_mul(radix).wrapping_add(digit);
        }
        if is_char {
            push_char(bytes, char::from_u32(number).ok_or(wrong)?);
        } else {
            bytes.push(u8::try_from(number).map_err(|_too_large| wrong)?);
        }
        Ok(())
    }
}

/// Appends a character as UTF-8.
fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{MATCHERS_MAX, SELECTOR_SIZE_BYTES_MAX, SelectorProblem, parse_selector};

    /// What a selector means, as text; or its error.
    fn read(text: &str) -> String {
        match parse_selector(text) {
            Ok(matchers) => matchers
                .iter()
                .map(|m| format!("{}|{:?}|{}", m.name, m.kind, m.value))
                .collect::<Vec<_>>()
                .join(" & "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn nothing_selects_everything() {
        for text in ["", "  ", "{}", " { } ", "{ }\n"] {
            assert_eq!(Ok(Vec::new()), parse_selector(text), "{text:?}");
        }
    }

    #[test]
    fn every_kind_of_condition_is_read() {
        let text = r#"{service="api", comm=~'nginx.*',host!=`a\b`,pid !~ "1.",}"#;
        let expected =
            r"service|Equal|api & comm|Regex|nginx.* & host|NotEqual|a\b & pid|NotRegex|1.";
        assert_eq!(expected, read(text));
        assert_eq!("k8s.pod|Equal|x", read(r#"{"k8s.pod"="x"}"#));
    }

    #[test]
    fn escapes_are_those_of_promql_strings() {
        assert_eq!("a|Equal|\n\t\\\"'", read(r#"{a="\n\t\\\"\'"}"#));
        assert_eq!(
            "a|Equal|AA\u{e9}\u{1f525}\u{e9}",
            read(r#"{a="\x41\101\u00e9\U0001f525\xc3\xa9"}"#)
        );
        assert!(read(r#"{a="\xff"}"#).contains("not UTF-8"));
        for bad in [r"\q", r"\x4", r"\400", r"\ud800", r"\U00110000", r"\"] {
            let text = format!("{{a=\"{bad}\"}}");
            assert!(read(&text).starts_with("selector, column"), "{text}");
        }
    }

    #[test]
    fn errors_point_at_the_column_and_say_what_was_expected() {
        let said = [
            (
                "service",
                "selector, column 1: expected `{`, as in {service=\"api\"}, found `s`",
            ),
            (
                "{1=\"\"}",
                "selector, column 2: expected the name of a label, found `1`",
            ),
            (
                "{é",
                "selector, column 2: expected the name of a label, found `é`",
            ),
            (
                "{a>\"b\"}",
                "selector, column 3: expected `=`, `!=`, `=~` or `!~`, found `>`",
            ),
            (
                "{a!\"b\"}",
                "selector, column 4: expected `=`, `!=`, `=~` or `!~`, found `\\\"`",
            ),
            (
                "{a=b}",
                "selector, column 4: expected a string in quotes, found `b`",
            ),
            (
                "{a=\"b",
                "selector, column 4: this string has no closing \"",
            ),
            (
                "{a=\"b\n\"}",
                "selector, column 4: this string has no closing \"",
            ),
            (
                "{a=\"b\"",
                "selector, column 7: expected `,` or `}`, found the end",
            ),
            (
                "{a=\"b\" c",
                "selector, column 8: expected `,` or `}`, found `c`",
            ),
            (
                "{} x",
                "selector, column 4: expected nothing after `}`, found `x`",
            ),
            (
                "{\"\"=\"b\"}",
                "selector, column 2: the name of a label is empty",
            ),
            (
                "{,}",
                "selector, column 2: expected the name of a label, found `,`",
            ),
        ];
        for (text, error) in said {
            assert_eq!(error, read(text), "{text:?}");
        }
    }

    #[test]
    fn as_many_conditions_as_the_bound_and_no_more() {
        let of = |count: usize| format!("{{{}}}", "a=\"\",".repeat(count));
        assert_eq!(
            MATCHERS_MAX,
            parse_selector(&of(MATCHERS_MAX)).unwrap().len()
        );
        let error = parse_selector(&of(MATCHERS_MAX + 1)).unwrap_err();
        assert_eq!(SelectorProblem::TooMany, error.problem);
        let long = " ".repeat(SELECTOR_SIZE_BYTES_MAX);
        assert_eq!(Ok(Vec::new()), parse_selector(&long));
        let error = parse_selector(&format!("{long} ")).unwrap_err();
        assert_eq!(SelectorProblem::TooLong, error.problem);
    }
}
