//! Lines of a text that may have no line ends.

use std::io::{self, BufRead};

/// Reads lines of bounded length.
#[derive(Debug)]
pub(super) struct TextLines<R> {
    /// The text.
    reader: R,
    /// Longest line that is kept, bytes.
    size_max: usize,
    /// The line that was read last.
    line: Vec<u8>,
}

impl<R: BufRead> TextLines<R> {
    /// Starts at the beginning of `reader`.
    pub(super) fn new(reader: R, size_max: usize) -> Self {
        Self {
            reader,
            size_max,
            line: Vec::new(),
        }
    }

    /// Reads the next line, without its end; what is longer than the bound is dropped.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let mut has_any = false;
        loop {
            let part = self.reader.fill_buf()?;
            if part.is_empty() {
                return Ok(has_any.then_some(self.line.as_slice()));
            }
            has_any = true;
            let end = part.iter().position(|byte| *byte == b'\n');
            let text = end.and_then(|size| part.get(..size)).unwrap_or(part);
            let room = self.size_max.saturating_sub(self.line.len());
            self.line
                .extend_from_slice(text.get(..room).unwrap_or(text));
            let used = text.len().saturating_add(usize::from(end.is_some()));
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(&self.line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::TextLines;

    #[test]
    fn long_lines_are_cut_and_the_next_one_is_whole() {
        let text = b"ab\n\nabcdefghij\nxyz";
        let mut lines = TextLines::new(BufReader::with_capacity(3, &text[..]), 5);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(String::from_utf8(line.to_vec()).unwrap());
        }
        assert_eq!(["ab", "", "abcde", "xyz"], found[..]);
    }
}
