//! Damaged and hostile input: an error or a valid profile, never a panic.

use profiler::render::{self, Format};

use super::sample;

/// Damaged files of each format. Enough that each byte of the sample is hit a few times.
const ROUNDS: u32 = 4_000;

/// A small generator of numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    /// The next number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// A byte.
    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Changes, removes, repeats or inserts a few bytes.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.byte()),
            2 => {
                let end = (at + random.below(32)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ if at < bytes.len() => bytes[at] = random.byte(),
            _ => bytes.push(random.byte()),
        }
    }
}

/// Reads damaged copies of the sample; what is read must hold together and be writable.
#[track_caller]
fn check(format: Format, valid: &[u8], rounds: u32) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for round in 0..rounds {
        let mut bytes = valid.to_vec();
        damage(&mut bytes, &mut random);
        let Ok(profile) = render::read(&bytes, format) else {
            continue;
        };
        accepted += 1;
        assert_eq!(Ok(()), profile.validate(), "{format}, round {round}");
        for written in [
            Format::Collapsed,
            Format::Pprof,
            Format::Json,
            Format::Speedscope,
        ] {
            render::write(&profile, written).unwrap();
        }
        if round % 16 == 0 {
            render::write(&profile, Format::Svg).unwrap();
        }
    }
    // Both ways out must have been taken, or the test shows nothing.
    assert!(
        0 < accepted && accepted < rounds,
        "{format}: {accepted} of {rounds}"
    );
}

/// The sample in a format.
fn valid(format: Format) -> Vec<u8> {
    render::write(&sample::profile(), format).unwrap()
}

#[test]
fn damaged_collapsed_stacks() {
    check(Format::Collapsed, &valid(Format::Collapsed), ROUNDS);
}

#[test]
fn damaged_json() {
    check(Format::Json, &valid(Format::Json), ROUNDS);
}

#[test]
fn damaged_speedscope() {
    check(Format::Speedscope, &valid(Format::Speedscope), ROUNDS);
}

/// Without gzip, whose checksum would catch nearly all damage before the reader sees it.
#[test]
fn damaged_pprof() {
    let mut message = Vec::new();
    let gzip = valid(Format::Pprof);
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(gzip.as_slice()),
        &mut message,
    )
    .unwrap();
    check(Format::Pprof, &message, ROUNDS);
    let mut cut = gzip.clone();
    cut.truncate(gzip.len() / 2);
    render::read(&cut, Format::Pprof).unwrap_err();
}

#[test]
fn a_gzip_bomb_is_refused() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        std::io::Write::write_all(&mut bomb, &zeros).unwrap();
    }
    let error = render::read(&bomb.finish().unwrap(), Format::Pprof).unwrap_err();
    assert!(format!("{error:?}").contains("TooLarge"), "{error:?}");
}

#[test]
fn values_near_the_largest_number_are_drawn() {
    let huge = u64::MAX - 1;
    let text = format!("app;main;f {huge}\napp;main;g {huge}\n");
    let profile = render::read(text.as_bytes(), Format::Collapsed).unwrap();
    let picture = String::from_utf8(render::write(&profile, Format::Svg).unwrap()).unwrap();
    assert!(picture.contains(">f ("), "{picture}");
    for format in [Format::Pprof, Format::Speedscope, Format::Json] {
        render::write(&profile, format).unwrap();
    }
}

#[test]
fn names_cannot_inject_markup() {
    let text = "<script>alert(1)</script>;\"onload=alert(1)';]]></script>;&amp;<b> 3\n";
    let profile = render::read(text.as_bytes(), Format::Collapsed).unwrap();
    let picture = String::from_utf8(render::write(&profile, Format::Svg).unwrap()).unwrap();
    assert_eq!(1, picture.matches("<script").count());
    assert!(picture.contains("&lt;script&gt;alert(1)"));
    assert!(!picture.contains("<b>"));
}
