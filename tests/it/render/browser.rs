//! Pictures in a real browser, and speedscope's own importer in it.

use std::{fs, path::Path};

use profiler::{
    model::Profile,
    render::{self, Difference, Format, Normalize},
};
use serde_json::Value;

use super::{sample, tool};

/// Runs one of the scripts in `it/js`; `None` after a line that says what is missing. Set
/// `KEEP_PICTURES` to a folder to keep the screenshots there.
#[track_caller]
fn drive(script: &str, input: &Path) -> Option<Value> {
    let node = tool::find("node")?;
    let chromium = tool::find("chromium")?;
    let modules = tool::node_modules()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("it/js")
        .join(script);
    let pictures = std::env::var_os("KEEP_PICTURES").unwrap_or_default();
    let args = [
        script.as_os_str(),
        modules.as_os_str(),
        chromium.as_os_str(),
        input.as_os_str(),
        &pictures,
    ];
    Some(serde_json::from_str(&tool::run(&node, args)).unwrap())
}

/// Writes a file for the browser to open.
fn file(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_picture_can_be_read_searched_and_zoomed() {
    let dir = tempfile::tempdir().unwrap();
    let picture = render::write(&sample::profile(), Format::Svg).unwrap();
    let Some(seen) = drive("flamegraph.mjs", &file(&dir, "sample.svg", &picture)) else {
        return;
    };
    assert_eq!(Value::from("CPU flame graph on web-1"), seen["title"]);
    let subtitle = "99 Hz · 100 samples · 10.0 s · lost 2 (2.0%) · truncated 5 (5.0%)";
    assert_eq!(Value::from(subtitle), seen["subtitle"]);
    let legend = [
        "kernel",
        "native",
        "inlined",
        "JIT or interpreted",
        "stack cut here",
    ];
    assert_eq!(Value::from(legend.to_vec()), seen["legend"]);
    // malloc is in 25 + 3 of 100 samples.
    assert_eq!(Value::from("Matched: 28.0%"), seen["matched"]);
    assert_eq!(Value::from(2), seen["highlighted"]);
    assert_eq!(
        Value::from("Function: malloc (25 samples, 25.00%)"),
        seen["details"]
    );
    assert_eq!(Value::from(true), seen["zoomed_fills_the_width"]);
    assert_eq!(Value::from(true), seen["unzoomed_is_as_before"]);
    assert_eq!(Value::from(Vec::<String>::new()), seen["errors"]);
    check_colors(&seen["colors"]);
}

/// Each kind of frame has a colour of its own.
#[track_caller]
fn check_colors(colors: &Value) {
    let of = |name: &str| -> Vec<i64> {
        let text = colors[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name}: {colors}"));
        let numbers = text.trim_start_matches("rgb(").trim_end_matches(')');
        numbers
            .split(',')
            .map(|number| number.trim().parse().unwrap())
            .collect()
    };
    let kinds = [
        "ksys_read",
        "main",
        "lookup(key&)",
        "LazyCompile:*run app.js:7",
        "[truncated]",
    ]
    .map(of);
    for (place, one) in kinds.iter().enumerate() {
        for other in &kinds[place + 1..] {
            let distance: i64 = one.iter().zip(other).map(|(a, b)| (a - b).abs()).sum();
            assert!(distance > 60, "{kinds:?}");
        }
    }
}

#[test]
fn a_difference_shows_what_grew_in_red_and_what_shrank_in_blue() {
    let dir = tempfile::tempdir().unwrap();
    let read = |text: &str| render::read(text.as_bytes(), Format::Collapsed).unwrap();
    let (before, after): (Profile, Profile) = (
        read("app;main;grew 10\napp;main;malloc 50\napp;main;same 20\n"),
        read("app;main;grew 60\napp;main;malloc 10\napp;main;same 20\n"),
    );
    let difference = Difference::between(&before, &after, Normalize::No).unwrap();
    let picture = difference.to_svg("before.json", "after.json").unwrap();
    let Some(seen) = drive("flamegraph.mjs", &file(&dir, "difference.svg", &picture)) else {
        return;
    };
    assert_eq!(Value::from("before.json → after.json"), seen["title"]);
    assert_eq!(Value::from("rgb(255,100,100)"), seen["colors"]["grew"]);
    assert_eq!(Value::from("rgb(250,250,250)"), seen["colors"]["same"]);
    let shrunk = seen["colors"]["malloc"].as_str().unwrap();
    assert!(
        shrunk.ends_with(",255)") && shrunk != "rgb(255,255,255)",
        "{shrunk}"
    );
    assert_eq!(Value::from(Vec::<String>::new()), seen["errors"]);
}

#[test]
fn hostile_names_run_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let attack = "]]></script><script>window.hacked=1</script>";
    let text = format!("malloc{attack};\"onload='window.hacked=1';{attack} 3\n");
    let mut profile = render::read(text.as_bytes(), Format::Collapsed).unwrap();
    profile.host = attack.to_owned();
    let picture = render::write(&profile, Format::Svg).unwrap();
    let Some(seen) = drive("flamegraph.mjs", &file(&dir, "hostile.svg", &picture)) else {
        return;
    };
    assert_eq!(Value::from(false), seen["hacked"]);
    assert_eq!(Value::from(Vec::<String>::new()), seen["errors"]);
    assert!(seen["title"].as_str().unwrap().contains(attack));
}

/// Sorted collapsed stacks without the outermost `count` elements.
fn without_root(profile: &Profile, count: usize) -> Vec<String> {
    let text = String::from_utf8(render::write(profile, Format::Collapsed).unwrap()).unwrap();
    let cut = |line: &str| line.split(';').skip(count).collect::<Vec<_>>().join(";");
    let mut stacks: Vec<String> = text.lines().map(cut).collect();
    stacks.sort();
    stacks
}

/// What the page exports has the name of the profile before the thread; all else is equal.
#[test]
fn speedscope_imports_our_file() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = render::write(&sample::profile(), Format::Speedscope).unwrap();
    let Some(seen) = drive(
        "speedscope.mjs",
        &file(&dir, "sample.speedscope.json", &bytes),
    ) else {
        return;
    };
    assert_eq!(Value::from(Vec::<String>::new()), seen["errors"]);
    assert_eq!(Value::from("cpu on web-1 - speedscope"), seen["title"]);
    // The viewer opens with the first of three profiles: the heaviest process.
    let shown = seen["shown"].as_str().unwrap();
    assert!(shown.contains("app (100)"), "{shown}");
    assert!(shown.contains("(1/3)"), "{shown}");
    let exported = fs::read(seen["exported"].as_str().unwrap()).unwrap();
    let imported = render::read(&exported, Format::Speedscope).unwrap();
    assert_eq!(
        without_root(&imported, 1),
        without_root(&sample::profile(), 0)
    );
}
