//! Where names come from: each place that debug information may be in.

use std::{
    fs::{self, File},
    os::fd::AsRawFd as _,
    path::PathBuf,
    sync::Arc,
};

use super::build::{Built, build, run, text};
use crate::{
    host::symbolize::{Contents, ObjectSource, Options, Symbolizer},
    model::FileOffset,
};

/// A program whose debug information was moved to `program.debug`.
struct Split {
    /// The stripped program.
    built: Built,
    /// Offset of `outer` and of `hidden`.
    offsets: [u64; 2],
}

/// Moves the debug information of a program out of it.
#[track_caller]
fn split(options: &[&str]) -> Split {
    let built = build(options);
    let offsets = ["outer", "hidden"].map(|name| built.function(name).offset);
    let debug = built.path("program.debug");
    run!("objcopy", "--only-keep-debug", built.program, debug);
    run!("strip", built.program);
    Split { built, offsets }
}

impl Split {
    /// Names the two functions.
    fn names(&self) -> [String; 2] {
        self.offsets.map(|offset| self.built.name(offset))
    }

    /// Where a debug directory has the debug file: a directory and a file in it.
    fn place_by_id(&self) -> (String, String) {
        let notes = run!("readelf", "-n", self.built.program);
        let id = notes.split("Build ID: ").nth(1).unwrap();
        let (first, rest) = id.lines().next().unwrap().split_at(2);
        (format!(".build-id/{first}"), format!("{rest}.debug"))
    }
}

/// Whether both functions have names and lines.
#[track_caller]
fn check_lines(names: &[String; 2]) {
    assert!(names[0].contains("outer program.c:"), "{names:?}");
    assert!(names[1].starts_with("hidden program.c:"), "{names:?}");
}

const STRIPPED: [&str; 2] = ["Stripped", "Stripped"];

#[test]
fn a_linked_debug_file_is_found_beside_its_program() {
    let split = split(&["-O2", "-g", "-Wl,--build-id=none"]);
    assert_eq!(STRIPPED, split.names());
    let debug = split.built.path("program.debug");
    let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
    link.push(&debug);
    run!("objcopy", link, split.built.program);
    check_lines(&split.names());

    fs::create_dir(split.built.path(".debug")).unwrap();
    fs::rename(&debug, split.built.path(".debug/program.debug")).unwrap();
    check_lines(&split.names());

    // One bit off: not the file that is meant.
    let other = split.built.path(".debug/program.debug");
    let mut content = fs::read(&other).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&other, content).unwrap();
    assert_eq!(STRIPPED, split.names());
}

#[test]
fn a_linked_debug_file_is_found_below_the_debug_directory() {
    let split = split(&["-O2", "-g"]);
    let debug = split.built.path("program.debug");
    let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
    link.push(&debug);
    run!("objcopy", link, split.built.program);
    let place = split.built.dir.path().strip_prefix("/").unwrap();
    let place = split.built.path("debug").join(place);
    fs::create_dir_all(&place).unwrap();
    fs::rename(&debug, place.join("program.debug")).unwrap();
    check_lines(&split.names());
}

#[test]
fn a_debug_file_is_found_by_build_id() {
    let split = split(&["-O2", "-g", "-Wl,--build-id=sha1"]);
    assert_eq!(STRIPPED, split.names());
    let (directory, name) = split.place_by_id();
    let place = split.built.path("debug").join(directory);
    fs::create_dir_all(&place).unwrap();
    let file = place.join(name);
    fs::rename(split.built.path("program.debug"), &file).unwrap();
    check_lines(&split.names());

    // The file of another program.
    let other = self::split(&["-O1", "-g", "-Wl,--build-id=sha1"]);
    fs::copy(other.built.path("program.debug"), &file).unwrap();
    assert_eq!(STRIPPED, split.names());
}

#[test]
fn a_debug_file_is_found_in_the_root_of_a_container() {
    let split = split(&["-O2", "-g", "-Wl,--build-id=sha1"]);
    let (directory, name) = split.place_by_id();
    let root = split.built.path("root");
    let place = root.join("usr/lib/debug").join(directory);
    fs::create_dir_all(&place).unwrap();
    let file = place.join(name);
    fs::rename(split.built.path("program.debug"), file).unwrap();
    let object = ObjectSource {
        root: Some(root),
        ..split.built.source()
    };
    let options = Options {
        debug_dirs: vec![PathBuf::from("/usr/lib/debug")],
        ..split.built.options()
    };
    let offsets = split.offsets.map(FileOffset);
    let named = Symbolizer::new(options).name_object(&object, &offsets);
    check_lines(&[text(&named[0]), text(&named[1])]);
}

#[test]
fn exported_functions_of_a_stripped_program_have_names() {
    let built = build(&["-O2", "-rdynamic"]);
    let functions = ["outer", "exported", "hidden"].map(|name| built.function(name));
    run!("strip", built.program);
    assert_eq!(["outer"], built.names_in(&functions[0])[..]);
    assert_eq!(["exported"], built.names_in(&functions[1])[..]);
    assert_eq!(["Stripped"], built.names_in(&functions[2])[..]);
}

#[test]
fn mini_debug_info_adds_what_is_not_exported() {
    let built = build(&["-O2", "-rdynamic"]);
    let functions = ["outer", "exported", "hidden"].map(|name| built.function(name));
    // As distributions make it: a copy with nothing but symbols, compressed, in a section.
    let mini = built.path("mini");
    run!("objcopy", "--only-keep-debug", built.program, mini);
    run!("xz", mini);
    run!("strip", built.program);
    let mut section = std::ffi::OsString::from(".gnu_debugdata=");
    section.push(built.path("mini.xz"));
    run!("objcopy", "--add-section", section, built.program);
    for (function, name) in functions.iter().zip(["outer", "exported", "hidden"]) {
        assert_eq!([name], built.names_in(function)[..]);
    }
}

#[test]
fn a_program_without_symbols_has_no_names() {
    let built = build(&["-O2", "-static"]);
    let outer = built.function("outer");
    run!("strip", built.program);
    assert_eq!(["Stripped"], built.names_in(&outer)[..]);
}

#[test]
fn a_deleted_program_is_named_through_its_descriptor() {
    let built = build(&["-O2", "-g"]);
    let outer = [FileOffset(built.function("outer").offset)];
    let file = File::open(&built.program).unwrap();
    fs::remove_file(&built.program).unwrap();
    let object = ObjectSource {
        contents: Contents::Path(format!("/proc/self/fd/{}", file.as_raw_fd()).into()),
        ..built.source()
    };
    let named = Symbolizer::new(built.options()).name_object(&object, &outer);
    assert!(text(&named[0]).contains("outer program.c:"));
    let gone = Symbolizer::new(built.options()).name_object(&built.source(), &outer);
    assert_eq!("Unreadable", text(&gone[0]));
}

/// The code that the kernel maps into each process, named from memory.
#[test]
fn the_vdso_is_named() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let range = line.split_ascii_whitespace().next().unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let address = |digits| u64::from_str_radix(digits, 16).unwrap();
    let mut image = vec![0; usize::try_from(address(end) - address(start)).unwrap()];
    let memory = File::open("/proc/self/mem").unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&memory, &mut image, address(start)).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("vdso");
    fs::write(&copy, &image).unwrap();
    let symbols = run!("nm", "-D", copy);
    let line = symbols
        .lines()
        .find(|line| line.contains(" __vdso_clock_gettime"))
        .unwrap();
    let offset = address(line.split_ascii_whitespace().next().unwrap());
    let object = ObjectSource {
        contents: Contents::Image(Arc::from(image)),
        shown_path: "[vdso]",
        build_id: None,
        root: None,
    };
    let named = Symbolizer::new(Options::default()).name_object(&object, &[FileOffset(offset)]);
    // The kernel gives the same code a weak name without the prefix.
    assert!(
        ["clock_gettime", "__vdso_clock_gettime"].contains(&text(&named[0]).as_str()),
        "{named:?}"
    );
}
