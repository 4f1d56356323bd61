//! Files that are not what they say: naming ends, in time, with an answer for each offset.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::build::{build, run};
use crate::{
    host::symbolize::{Contents, ObjectSource, Options, Symbolizer},
    model::{FileOffset, Naming, Reason},
};

/// Names 64 places of an image. Every answer is a name that is not empty, or a reason.
#[track_caller]
fn name_image(image: Vec<u8>) -> Vec<Naming> {
    name_image_within(image, Duration::from_secs(10))
}

/// Names the same places within a time.
#[track_caller]
fn name_image_within(image: Vec<u8>, time: Duration) -> Vec<Naming> {
    let places: Vec<FileOffset> = (0..64).map(|number| FileOffset(number * 0x48)).collect();
    let object = ObjectSource {
        contents: Contents::Image(Arc::from(image)),
        shown_path: "/nowhere/program",
        build_id: None,
        root: None,
    };
    let options = Options {
        debug_dirs: Vec::new(),
        deadline_per_object: time,
        ..Options::default()
    };
    let named = Symbolizer::new(options).name_object(&object, &places);
    assert_eq!(places.len(), named.len());
    for naming in &named {
        if let Naming::Named(locations) = naming {
            assert!(!locations.is_empty());
            assert!(
                locations
                    .iter()
                    .all(|location| !location.function.is_empty())
            );
        }
    }
    named
}

/// A program with all kinds of sections; small, because it is broken in many ways.
fn program(options: &[&str]) -> Vec<u8> {
    let mut all = vec!["-O2", "-g", "-nostartfiles", "-Wl,-e,main"];
    all.extend(options);
    let built = build(&all);
    let mini = built.path("mini");
    run!("objcopy", "--only-keep-debug", built.program, mini);
    run!("xz", mini);
    let mut section = std::ffi::OsString::from(".gnu_debugdata=");
    section.push(built.path("mini.xz"));
    run!("objcopy", "--add-section", section, built.program);
    fs::read(&built.program).unwrap()
}

#[test]
fn a_file_cut_anywhere_gives_names_or_reasons() {
    let whole = program(&[]);
    let named = name_image(whole.clone());
    assert!(
        named
            .iter()
            .any(|naming| matches!(naming, Naming::Named(_)))
    );
    for size in (0..whole.len()).step_by(64) {
        name_image(whole[..size].to_vec());
    }
}

#[test]
fn flipped_bytes_give_names_or_reasons() {
    let mut noise = 0x9e37_79b9_u32;
    let mut random = || {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        usize::try_from(noise).unwrap()
    };
    for options in [&["-gdwarf-5"][..], &["-gdwarf-4"], &["-gz=zlib"]] {
        let whole = program(options);
        for _ in 0..100 {
            let mut image = whole.clone();
            for _ in 0..=random() % 8 {
                let place = random() % image.len();
                image[place] = u8::try_from(random() % 256).unwrap();
            }
            // Headers are a small part of the file and decide about the rest.
            let place = random() % 64;
            if random() % 4 == 0 {
                image[place] = u8::try_from(random() % 256).unwrap();
            }
            name_image(image);
        }
    }
}

#[test]
fn stripped_and_broken_at_once() {
    let built = build(&["-O2", "-g", "-nostartfiles", "-Wl,-e,main"]);
    let mini = built.path("mini");
    run!("objcopy", "--only-keep-debug", built.program, mini);
    run!("xz", mini);
    run!("strip", built.program);
    let whole = fs::read(built.path("mini.xz")).unwrap();
    for place in (0..whole.len()).step_by(37) {
        let mut packed = whole.clone();
        packed[place] ^= 0x55;
        fs::write(built.path("bad.xz"), &packed).unwrap();
        let copy = built.path("copy");
        let mut section = std::ffi::OsString::from(".gnu_debugdata=");
        section.push(built.path("bad.xz"));
        run!("objcopy", "--add-section", section, built.program, copy);
        name_image(fs::read(&copy).unwrap());
    }
}

/// A file with one code section and these symbols: where they start and their size.
fn image_with(symbols: impl Iterator<Item = (u64, u64)>) -> Vec<u8> {
    let mut table = vec![0; 24];
    for (value, size) in symbols {
        // Name 1, a global function, in section 1.
        table.extend([1, 0, 0, 0, 0x12, 0, 1, 0]);
        table.extend(value.to_le_bytes());
        table.extend(size.to_le_bytes());
    }
    let size = table.len() as u64;
    let names = 0x1000 + size;
    let mut image = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    image.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    image.extend([0_u64, 64, 128].map(u64::to_le_bytes).concat());
    image.extend(
        [0, 0, 64, 56, 1, 64, 4, 0_u16]
            .map(u16::to_le_bytes)
            .concat(),
    );
    // The segment: readable and executable, the whole of a megabyte.
    image.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    image.extend(
        [0_u64, 0, 0, 1 << 20, 1 << 20, 1]
            .map(u64::to_le_bytes)
            .concat(),
    );
    image.resize(128, 0);
    for (kind, flags, offset, size, link) in [
        (0_u32, 0_u64, 0_u64, 0_u64, 0_u32),
        (1, 6, 0, 1 << 20, 0),
        (2, 0, 0x1000, size, 3),
        (3, 0, names, 3, 0),
    ] {
        image.extend([0, kind].map(u32::to_le_bytes).concat());
        image.extend([flags, 0, offset, size].map(u64::to_le_bytes).concat());
        image.extend([link, 0].map(u32::to_le_bytes).concat());
        image.extend([1_u64, 24].map(u64::to_le_bytes).concat());
    }
    image.resize(0x1000, 0);
    image.extend(table);
    image.extend(b"\0f\0");
    image
}

#[test]
fn a_file_made_by_hand_is_read() {
    let named = name_image(image_with([(0x48, 0x48), (0x90, 0x90)].into_iter()));
    let texts: Vec<String> = named.iter().map(super::build::text).collect();
    assert_eq!(["Stripped", "f", "f", "f", "Stripped"], texts[..5]);
}

/// 200,000 symbols that each claim all of 64 places, with equal names to compare.
#[test]
fn symbols_that_cover_each_other_run_out_of_time() {
    let image = image_with((0..200_000).map(|_| (1, u64::MAX)));
    let named = name_image_within(image, Duration::from_millis(20));
    // What was found is kept, and the rest has the reason.
    assert_eq!(Naming::Unnamed(Reason::Bounded), named[0]);
    assert_eq!("f", super::build::text(&named[1]));
}

#[test]
fn what_is_not_an_object_file_has_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "#!/bin/sh\n").unwrap();
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let none = dir.path().join("none");
    for (path, reason) in [
        (text.as_path(), Reason::Malformed),
        (&empty, Reason::Malformed),
        (&none, Reason::Unreadable),
        (Path::new("/dev/zero"), Reason::Unreadable),
        (Path::new("/"), Reason::Unreadable),
        (Path::new("/proc/self/mem"), Reason::Malformed),
    ] {
        let object = ObjectSource {
            contents: Contents::Path(PathBuf::from(path)),
            shown_path: "/x",
            build_id: None,
            root: None,
        };
        let named = Symbolizer::new(Options::default()).name_object(&object, &[FileOffset(1); 2]);
        assert_eq!(
            [Naming::Unnamed(reason), Naming::Unnamed(reason)],
            named[..],
            "{path:?}"
        );
    }
}
