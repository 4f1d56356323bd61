//! Golden files of every format, and round trips through those that can be read back.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use profiler::{
    model::Profile,
    render::{self, Format},
};

use super::sample;

/// Formats that can be read back.
const READABLE: [Format; 4] = [
    Format::Collapsed,
    Format::Pprof,
    Format::Speedscope,
    Format::Json,
];

/// Compares with the golden file; `UPDATE_GOLDEN=1` writes it instead.
#[track_caller]
fn check_golden(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden/render")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(expected, found, "{}", path.display());
}

/// The sample profile in a text format.
fn written(format: Format) -> String {
    String::from_utf8(render::write(&sample::profile(), format).unwrap()).unwrap()
}

#[test]
fn the_sample_profile_holds_together() {
    assert_eq!(Ok(()), sample::profile().validate());
}

#[test]
fn collapsed_is_as_it_was() {
    check_golden("sample.collapsed", &written(Format::Collapsed));
}

#[test]
fn speedscope_is_as_it_was() {
    check_golden("sample.speedscope.json", &written(Format::Speedscope));
}

#[test]
fn json_is_as_it_was() {
    check_golden("sample.json", &written(Format::Json));
}

#[test]
fn the_table_is_as_it_was() {
    check_golden("sample.top.txt", &render::top(&sample::profile(), 20));
}

/// The picture without the drawing library's script, one element a line.
#[test]
fn the_picture_is_as_it_was() {
    let picture = written(Format::Svg);
    let (head, rest) = picture.split_once("<style").unwrap();
    let (_, body) = rest.split_once("</script>").unwrap();
    let lines = format!("{head}{body}").replace("><", ">\n<");
    check_golden("sample.svg.txt", &lines);
}

/// Protobuf has no readable form of its own here: what comes back is compared.
#[test]
fn pprof_is_as_it_was() {
    let bytes = render::write(&sample::profile(), Format::Pprof).unwrap();
    let back = render::read(&bytes, Format::Pprof).unwrap();
    let json = render::write(&back, Format::Json).unwrap();
    check_golden("sample.pprof.json", &String::from_utf8(json).unwrap());
}

/// The collapsed form says everything that totals and stacks are made of.
#[test]
fn totals_and_stacks_survive_every_round_trip() {
    let profile = sample::profile();
    let expected = stacks(&profile);
    for format in READABLE {
        let bytes = render::write(&profile, format).unwrap();
        let back = render::read(&bytes, format).unwrap();
        assert_eq!(Ok(()), back.validate(), "{format}");
        assert_eq!(expected, stacks(&back), "{format}");
        let again = render::write(&back, format).unwrap();
        assert_eq!(
            stacks(&back),
            stacks(&render::read(&again, format).unwrap())
        );
    }
}

#[test]
fn json_loses_nothing() {
    let profile = sample::profile();
    let bytes = render::write(&profile, Format::Json).unwrap();
    assert_eq!(profile, render::read(&bytes, Format::Json).unwrap());
}

#[test]
fn pprof_keeps_tasks_objects_and_all_values() {
    let profile = sample::profile();
    let bytes = render::write(&profile, Format::Pprof).unwrap();
    let back = render::read(&bytes, Format::Pprof).unwrap();
    assert_eq!(profile.value_types, back.value_types);
    assert_eq!(profile.window, back.window);
    assert_eq!(profile.tasks, back.tasks);
    // Code made at run time has no file of its own; in pprof it has a mapping.
    let paths = |profile: &Profile| -> Vec<String> {
        profile
            .objects
            .iter()
            .map(|object| format!("{object:?}"))
            .collect()
    };
    assert_eq!(paths(&profile), paths(&back)[..3]);
    let values = |profile: &Profile| -> Vec<Vec<u64>> {
        profile
            .samples
            .iter()
            .map(|sample| sample.values.clone())
            .collect()
    };
    assert_eq!(values(&profile), values(&back));
}

#[test]
fn a_profile_made_by_go_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/render/go-cpu.pb.gz");
    let profile = render::read(&fs::read(path).unwrap(), Format::Pprof).unwrap();
    let collapsed = render::write(&profile, Format::Collapsed).unwrap();
    check_golden("go-cpu.collapsed", &String::from_utf8(collapsed).unwrap());
}

#[test]
fn an_empty_profile_is_written_and_drawn() {
    let empty = Profile::default();
    for format in READABLE.into_iter().chain([Format::Svg]) {
        let bytes = render::write(&empty, format).unwrap();
        assert_eq!(bytes.is_empty(), format == Format::Collapsed, "{format}");
    }
    let picture = render::write(&empty, Format::Svg).unwrap();
    assert!(String::from_utf8(picture).unwrap().contains("no samples"));
}

#[test]
fn a_picture_of_very_many_stacks_stays_small() {
    let mut text = String::new();
    for stack in 0..100_000 {
        let (a, b, c) = (stack % 10, stack / 10 % 100, stack / 1000);
        writeln!(text, "app;main;a{a};b{b};c{c};leaf_{stack} 1").unwrap();
    }
    let profile = render::read(text.as_bytes(), Format::Collapsed).unwrap();
    let picture = render::write(&profile, Format::Svg).unwrap();
    assert!(picture.len() < 4 << 20, "{} bytes", picture.len());
}

/// Values by collapsed stack.
fn stacks(profile: &Profile) -> BTreeMap<String, u64> {
    let text = render::write(profile, Format::Collapsed).unwrap();
    let text = String::from_utf8(text).unwrap();
    let pair = |line: &str| {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        (stack.to_owned(), count.parse().unwrap())
    };
    text.lines().map(pair).collect()
}
