//! What a name says: inlines, lines, languages, and where a symbol ends.

use super::build::{build, build_with, run};
use crate::{
    host::symbolize::{Options, Symbolizer},
    model::{FileOffset, Naming, Reason},
};

/// What [`SOURCE`](super::build::SOURCE) has in `outer`, wherever the compiler puts it.
#[track_caller]
fn check_inlines(options: &[&str]) {
    let built = build(options);
    let names = built.names_in(&built.function("outer"));
    for expected in [
        "inner program.c:3 < middle program.c:6 < outer program.c:10",
        "middle program.c:7 < outer program.c:10",
        "outer program.c:11",
    ] {
        assert!(names.iter().any(|name| name == expected), "{names:#?}");
    }
    let is_known =
        |name: &String| name.ends_with("outer program.c:10") || name.contains("outer program.c:");
    assert!(names.iter().all(is_known), "{names:#?}");
}

#[test]
fn inlined_functions_come_innermost_first() {
    check_inlines(&["-O2", "-g"]);
}

#[test]
fn older_debug_information_says_the_same() {
    check_inlines(&["-O2", "-gdwarf-4"]);
    check_inlines(&["-O2", "-gdwarf-3", "-gstrict-dwarf"]);
}

#[test]
fn compressed_debug_information_says_the_same() {
    check_inlines(&["-O2", "-g", "-gz=zlib"]);
    check_inlines(&["-O2", "-g", "-Wl,--compress-debug-sections=zstd"]);
}

#[test]
fn units_without_a_table_of_addresses_are_found() {
    check_inlines(&["-O2", "-g", "-fno-asynchronous-unwind-tables", "-flto"]);
    let built = build(&["-O2", "-g"]);
    run!("objcopy", "--remove-section=.debug_aranges", built.program);
    assert!(
        built
            .name(built.function("outer").offset)
            .contains("outer program.c:")
    );
}

#[test]
fn static_programs_are_named() {
    check_inlines(&["-O2", "-g", "-static"]);
    check_inlines(&["-O2", "-g", "-static-pie"]);
}

#[test]
fn without_inlines_the_outer_function_has_the_line_of_the_call() {
    let built = build(&["-O2", "-g"]);
    let outer = built.function("outer");
    let options = Options {
        inlines: false,
        ..built.options()
    };
    let offsets: Vec<FileOffset> = (outer.offset..outer.offset + outer.size)
        .map(FileOffset)
        .collect();
    let named = Symbolizer::new(options).name_object(&built.source(), &offsets);
    for naming in &named {
        let text = super::build::text(naming);
        assert!(
            [
                "outer program.c:9",
                "outer program.c:10",
                "outer program.c:11",
                "outer program.c:12"
            ]
            .contains(&text.as_str()),
            "{text}"
        );
    }
}

#[test]
fn a_name_ends_where_its_symbol_ends() {
    let built = build(&["-O2"]);
    let outer = built.function("outer");
    assert_eq!(["outer"], built.names_in(&outer)[..]);
    // Functions start at multiples of 16; the bytes before the next one belong to none.
    let padding = built.name(outer.offset + outer.size);
    if !outer.size.is_multiple_of(16) {
        assert_eq!("Stripped", padding);
    }
    let hidden = built.function("hidden");
    assert_eq!(["hidden"], built.names_in(&hidden)[..]);
}

#[test]
fn a_label_without_a_size_reaches_to_the_next_symbol() {
    let built = build(&["-O0"]);
    let label = built.function("label");
    assert_eq!(0, label.size);
    for inside in 0..4 {
        assert_eq!("label", built.name(label.offset + inside));
    }
}

#[test]
fn places_without_code_have_no_name() {
    let built = build(&["-O2", "-g"]);
    for offset in [0, 1, 1 << 30, u64::MAX] {
        assert_eq!("Stripped", built.name(offset));
    }
}

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let built = build(&["-O2"]);
    let (outer, exported) = (built.function("outer"), built.function("exported"));
    let offsets = [exported.offset, 0, outer.offset, exported.offset].map(FileOffset);
    let named = Symbolizer::new(built.options()).name_object(&built.source(), &offsets);
    let texts: Vec<String> = named.iter().map(super::build::text).collect();
    assert_eq!(["exported", "Stripped", "outer", "exported"], texts[..]);
    let none = Symbolizer::new(built.options()).name_object(&built.source(), &[]);
    assert!(none.is_empty());
}

#[test]
fn cpp_names_are_whole() {
    let source = r"
namespace space {
template <class T> struct Box {
    T value;
    __attribute__((always_inline)) T twice() { return *(volatile T *)&value * 2; }
    __attribute__((noinline)) T open(int more) { return twice() + more; }
};
}
int main(int count, char **) {
    space::Box<long> box{count};
    return box.open(count);
}
";
    let built = build_with("g++", "program.cpp", source, &["-O2", "-g"]);
    let open = built.function("_ZN5space3BoxIlE4openEi");
    let names = built.names_in(&open);
    let expected = "space::Box<long>::twice() program.cpp:5 < \
                    space::Box<long>::open(int) program.cpp:6";
    assert!(names.iter().any(|name| name == expected), "{names:#?}");
}

#[test]
fn rust_names_have_no_hash() {
    let source = r"
mod room {
    #[inline(always)]
    fn inner(x: &i32) -> i32 {
        unsafe { std::ptr::read_volatile(x) }
    }
    #[inline(never)]
    pub fn outer(x: &i32) -> i32 {
        inner(x) * 3
    }
}
fn main() {
    std::process::exit(room::outer(&(std::env::args().count() as i32)));
}
";
    let built = build_with("rustc", "program.rs", source, &["-g", "-O"]);
    let symbols = run!("nm", built.program);
    let symbol = symbols
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next_back())
        .find(|name| name.contains("4room5outer"))
        .unwrap();
    let names = built.names_in(&built.function(symbol));
    let expected = "program::room::inner program.rs:5 < program::room::outer program.rs:9";
    let is_found = names.iter().any(|name| name.ends_with(expected));
    assert!(is_found, "{names:#?}");
}

#[test]
fn a_little_memory_still_gives_names() {
    let built = build(&["-O2", "-g", "-gz=zlib"]);
    let options = Options {
        memory_size_bytes_max: 1,
        ..built.options()
    };
    let outer = [FileOffset(built.function("outer").offset)];
    let named = Symbolizer::new(options).name_object(&built.source(), &outer);
    assert_eq!("outer", super::build::text(&named[0]));
}

#[test]
fn no_time_is_a_reason() {
    let built = build(&["-O2", "-g"]);
    let options = Options {
        deadline_per_object: std::time::Duration::ZERO,
        ..built.options()
    };
    let outer = [FileOffset(built.function("outer").offset)];
    let named = Symbolizer::new(options).name_object(&built.source(), &outer);
    assert_eq!([Naming::Unnamed(Reason::Bounded)], named[..]);
}
