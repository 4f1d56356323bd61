//! Batches and definitions as bytes: what the log and the definition files hold.
//!
//! Numbers are LEB128, texts have their length in front. A stack names its frames by their place in
//! a table at the head of the definitions. Fields are never changed, only new versions added.

use std::{collections::HashMap, time::Duration};

use crate::{
    model::{
        Batch, BuildId, Definitions, FrameDefinition, FrameHash, FrameId, FrameKind, HostWindow,
        Labels, Location, Naming, ObjectFile, Quality, Reason, SeriesSamples, StackDefinition,
        StackHash, StackId, ValueType, WeightedStack, Window,
    },
    service::store::{
        limits,
        quality_sum::{LOSSES, TRUNCATIONS},
    },
};

/// Version of the encoding.
const VERSION: u64 = 1;

/// Bytes that are not what this encoding writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum CodecError {
    /// They end early.
    #[error("the bytes end early")]
    Short,
    /// A value that has no meaning.
    #[error("a {0} that has no meaning")]
    Value(&'static str),
    /// Written by a later release.
    #[error("written in encoding {0}, which this release does not know")]
    Version(u64),
}

/// What decoding answers.
type Decoded<T> = Result<T, CodecError>;

/// Frame kinds, by their number on disk.
const KINDS: [FrameKind; 5] = [
    FrameKind::Native,
    FrameKind::Kernel,
    FrameKind::Jit,
    FrameKind::Truncated,
    FrameKind::Table,
];

/// Reasons, by their number on disk.
const REASONS: [Reason; 8] = [
    Reason::Stripped,
    Reason::Jit,
    Reason::Unmapped,
    Reason::Unreadable,
    Reason::Malformed,
    Reason::Bounded,
    Reason::KernelHidden,
    Reason::NotRecorded,
];

/// A batch as bytes.
pub(super) fn encode_batch(batch: &Batch) -> Vec<u8> {
    let mut out = Writer::default();
    out.number(VERSION);
    out.definitions(&batch.definitions);
    out.list(&batch.windows, Writer::window);
    out.0
}

/// The batch in some bytes.
///
/// # Errors
/// The bytes end early, hold something without meaning or are of a later release.
pub(super) fn decode_batch(bytes: &[u8]) -> Decoded<Batch> {
    let mut input = Reader::versioned(bytes)?;
    Ok(Batch {
        definitions: input.definitions()?,
        windows: input.list(Reader::window)?,
    })
}

/// Definitions as bytes.
pub(super) fn encode_definitions(definitions: &Definitions) -> Vec<u8> {
    let mut out = Writer::default();
    out.number(VERSION);
    out.definitions(definitions);
    out.0
}

/// The definitions in some bytes.
///
/// # Errors
/// As [`decode_batch`].
pub(super) fn decode_definitions(bytes: &[u8]) -> Decoded<Definitions> {
    Reader::versioned(bytes)?.definitions()
}

/// Appends values to bytes.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    /// A number in base 128, low digits first.
    fn number(&mut self, mut value: u64) {
        loop {
            let [digit, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(digit & 0x7f);
                return;
            }
            self.0.push(digit | 0x80);
        }
    }

    /// A length or index.
    fn size(&mut self, value: usize) {
        self.number(u64::try_from(value).expect("usize has at most 64 bits"));
    }

    /// A number without pattern: 8 bytes.
    fn word(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    /// Bytes with their length.
    fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.0.extend(bytes);
    }

    /// A text with its length.
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A moment or length of time in nanoseconds.
    fn time(&mut self, time: Duration) {
        self.number(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Values with their number.
    fn list<T>(&mut self, values: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.size(values.len());
        for value in values {
            one(self, value);
        }
    }

    /// A value's place in a table that holds them all.
    fn code<T: PartialEq>(&mut self, table: &[T], value: &T) {
        let code = table.iter().position(|known| known == value);
        self.size(code.expect("the tables of this file hold every variant"));
    }

    /// Frames, the table of frame ids and the stacks.
    fn definitions(&mut self, definitions: &Definitions) {
        self.list(&definitions.frames, Self::frame);
        let mut table = Vec::new();
        let mut places = HashMap::new();
        for id in definitions.stacks.iter().flat_map(|stack| &stack.frames) {
            places.entry(*id).or_insert_with(|| {
                table.push(*id);
                table.len() - 1
            });
        }
        self.list(&table, |out, id: &FrameId| out.word(id.0));
        self.list(&definitions.stacks, |out, stack: &StackDefinition| {
            out.word(stack.hash.id().0);
            out.word(stack.hash.high());
            // Outermost first: sorted stacks then share their beginnings, which compresses.
            out.size(stack.frames.len());
            for id in stack.frames.iter().rev() {
                out.size(places.get(id).copied().unwrap_or_default());
            }
        });
    }

    /// One frame.
    fn frame(&mut self, frame: &FrameDefinition) {
        self.word(frame.hash.id().0);
        self.word(frame.hash.high());
        self.code(&KINDS, &frame.kind);
        self.number(frame.address);
        match &frame.object {
            None => self.number(0),
            Some(object) => {
                self.number(1);
                self.text(&object.path);
                let build_id = object.build_id.as_ref();
                self.bytes(build_id.map_or(&[], BuildId::as_bytes));
            }
        }
        match &frame.naming {
            Naming::Unnamed(reason) => {
                self.number(0);
                self.code(&REASONS, reason);
            }
            Naming::Named(lines) => {
                self.number(1);
                self.list(lines, Self::location);
            }
        }
    }

    /// One function with its place; a line is one higher than it is, zero for none.
    fn location(&mut self, location: &Location) {
        self.text(&location.function);
        match &location.file {
            None => self.number(0),
            Some(file) => {
                self.number(1);
                self.text(file);
            }
        }
        self.number(location.line.map_or(0, |line| u64::from(line) + 1));
    }

    /// One window.
    fn window(&mut self, window: &HostWindow) {
        self.text(&window.host);
        self.text(&window.signal);
        self.time(window.span.start);
        self.time(window.span.duration);
        self.number(window.period_ns);
        self.list(&window.value_types, |out, value_type: &ValueType| {
            out.text(&value_type.kind);
            out.text(&value_type.unit);
        });
        self.list(&window.series, |out, series: &SeriesSamples| {
            out.size(series.labels.len());
            for (name, value) in &series.labels {
                out.text(name);
                out.text(value);
            }
            out.list(&series.samples, |out, sample: &WeightedStack| {
                out.word(sample.stack.0);
                out.list(&sample.values, |out, value| out.number(*value));
            });
        });
        self.quality(&window.quality);
    }

    /// How good a window is.
    fn quality(&mut self, quality: &Quality) {
        for count in [
            quality.samples,
            quality.idle,
            quality.complete,
            quality.fallback,
            quality.frames,
            quality.frames_unnamed,
            quality.windows_lost,
        ] {
            self.number(count);
        }
        for share in [
            quality.rate_asked_hz,
            quality.rate_effective_hz,
            quality.duty_cycle,
        ] {
            self.word(share.to_bits());
        }
        self.size(quality.lost.len());
        for (loss, count) in &quality.lost {
            self.code(&LOSSES, loss);
            self.number(*count);
        }
        self.size(quality.truncated.len());
        for (reason, count) in &quality.truncated {
            self.code(&TRUNCATIONS, reason);
            self.number(*count);
        }
    }
}

/// Takes values off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The bytes behind their version.
    fn versioned(bytes: &'a [u8]) -> Decoded<Self> {
        let mut input = Self(bytes);
        match input.number()? {
            VERSION => Ok(input),
            other => Err(CodecError::Version(other)),
        }
    }

    /// A number in base 128.
    fn number(&mut self) -> Decoded<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (digit, rest) = self.0.split_first().ok_or(CodecError::Short)?;
            self.0 = rest;
            value |= u64::from(digit & 0x7f) << shift;
            if digit & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Value("number"))
    }

    /// A length or index.
    fn size(&mut self) -> Decoded<usize> {
        usize::try_from(self.number()?).map_err(|_too_large| CodecError::Value("size"))
    }

    /// A number of 8 bytes.
    fn word(&mut self) -> Decoded<u64> {
        let (word, rest) = self.0.split_first_chunk().ok_or(CodecError::Short)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// Bytes behind their length.
    fn bytes(&mut self) -> Decoded<&'a [u8]> {
        let size = self.size()?;
        let (bytes, rest) = self.0.split_at_checked(size).ok_or(CodecError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A text behind its length.
    fn text(&mut self) -> Decoded<String> {
        let text = str::from_utf8(self.bytes()?);
        Ok(text.map_err(|_error| CodecError::Value("text"))?.to_owned())
    }

    /// A moment or length of time.
    fn time(&mut self) -> Decoded<Duration> {
        self.number().map(Duration::from_nanos)
    }

    /// Values behind their number. Each takes a byte at least, which bounds what is reserved.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Decoded<T>) -> Decoded<Vec<T>> {
        let count = self.size()?;
        let mut values = Vec::with_capacity(count.min(limits::DECODE_RESERVE_MAX));
        for _place in 0..count {
            values.push(one(self)?);
        }
        Ok(values)
    }

    /// A value by its place in a table.
    fn code<T: Copy>(&mut self, table: &[T], what: &'static str) -> Decoded<T> {
        let code = self.size()?;
        table.get(code).copied().ok_or(CodecError::Value(what))
    }

    /// Whether something follows.
    fn flag(&mut self) -> Decoded<bool> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _other => Err(CodecError::Value("flag")),
        }
    }

    /// Frames, the table of frame ids and the stacks.
    fn definitions(&mut self) -> Decoded<Definitions> {
        let frames = self.list(Self::frame)?;
        let table = self.list(|input| input.word().map(FrameId))?;
        let stacks = self.list(|input| {
            let id = StackId(input.word()?);
            let hash = StackHash::from_halves(id, input.word()?);
            let mut frames = input.list(|input| input.code(&table, "frame of a stack"))?;
            frames.reverse();
            Ok(StackDefinition { hash, frames })
        })?;
        Ok(Definitions { frames, stacks })
    }

    /// One frame.
    fn frame(&mut self) -> Decoded<FrameDefinition> {
        let id = FrameId(self.word()?);
        Ok(FrameDefinition {
            hash: FrameHash::from_halves(id, self.word()?),
            kind: self.code(&KINDS, "frame kind")?,
            address: self.number()?,
            object: self.object()?,
            naming: self.naming()?,
        })
    }

    /// The object file of a frame, if it has one.
    fn object(&mut self) -> Decoded<Option<ObjectFile>> {
        if !self.flag()? {
            return Ok(None);
        }
        let path = self.text()?;
        let build_id = BuildId::new(self.bytes()?);
        Ok(Some(ObjectFile { path, build_id }))
    }

    /// What a frame is called.
    fn naming(&mut self) -> Decoded<Naming> {
        if !self.flag()? {
            return self.code(&REASONS, "reason").map(Naming::Unnamed);
        }
        self.list(Self::location).map(Naming::Named)
    }

    /// One function with its place.
    fn location(&mut self) -> Decoded<Location> {
        let function = self.text()?;
        let has_file = self.flag()?;
        let file = if has_file { Some(self.text()?) } else { None };
        let line = match self.number()?.checked_sub(1) {
            None => None,
            Some(line) => Some(u32::try_from(line).map_err(|_error| CodecError::Value("line"))?),
        };
        Ok(Location {
            function,
            file,
            line,
        })
    }

    /// One window.
    fn window(&mut self) -> Decoded<HostWindow> {
        Ok(HostWindow {
            host: self.text()?,
            signal: self.text()?,
            span: Window {
                start: self.time()?,
                duration: self.time()?,
            },
            period_ns: self.number()?,
            value_types: self.list(|input| {
                Ok(ValueType {
                    kind: input.text()?,
                    unit: input.text()?,
                })
            })?,
            series: self.list(Self::series)?,
            quality: self.quality()?,
        })
    }

    /// The samples that share labels.
    fn series(&mut self) -> Decoded<SeriesSamples> {
        let labels = self.list(|input| Ok((input.text()?, input.text()?)))?;
        let samples = self.list(|input| {
            Ok(WeightedStack {
                stack: StackId(input.word()?),
                values: input.list(Self::number)?,
            })
        })?;
        let labels = labels.into_iter().collect::<Labels>();
        Ok(SeriesSamples { labels, samples })
    }

    /// How good a window is.
    fn quality(&mut self) -> Decoded<Quality> {
        Ok(Quality {
            samples: self.number()?,
            idle: self.number()?,
            complete: self.number()?,
            fallback: self.number()?,
            frames: self.number()?,
            frames_unnamed: self.number()?,
            windows_lost: self.number()?,
            rate_asked_hz: self.word().map(f64::from_bits)?,
            rate_effective_hz: self.word().map(f64::from_bits)?,
            duty_cycle: self.word().map(f64::from_bits)?,
            lost: self.counts(&LOSSES)?,
            truncated: self.counts(&TRUNCATIONS)?,
            // Not kept: a store of before would not read it.
            overhead: 0.0,
        })
    }

    /// Counts by cause.
    fn counts<Cause: Copy + Ord>(
        &mut self,
        table: &[Cause],
    ) -> Decoded<std::collections::BTreeMap<Cause, u64>> {
        let counts = self.list(|input| Ok((input.code(table, "cause")?, input.number()?)))?;
        Ok(counts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{decode_batch, encode_batch};
    use crate::service::store::fixture;

    #[test]
    fn batches_come_back_as_they_were() {
        let batch = fixture::rich_batch();
        assert_eq!(Ok(&batch), decode_batch(&encode_batch(&batch)).as_ref());
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = encode_batch(&fixture::rich_batch());
        for end in 0..bytes.len() {
            assert!(decode_batch(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn changed_bytes_never_panic() {
        let bytes = encode_batch(&fixture::rich_batch());
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                // Only its return matters: a change may well decode to another batch.
                drop(decode_batch(&changed));
            }
        }
    }
}
