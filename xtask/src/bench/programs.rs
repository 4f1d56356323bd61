//! The programs that are profiled, built when missing.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::command::Step;

/// Types in the generated C++ file: each instantiates containers and algorithms of its own.
const TYPES: usize = 100;
/// Copies of the generated file's object in the large program: more than 100 MB in all.
const COPIES: usize = 20;

/// Where sources are, and where programs go.
pub(crate) struct Programs<'a> {
    /// `tests/workloads`.
    pub(crate) sources: PathBuf,
    /// `target/bench`.
    pub(crate) folder: &'a Path,
}

impl Programs<'_> {
    /// Recursion to a depth, without frame pointers: `recursion SECONDS DEPTH`.
    pub(crate) fn recursion(&self) -> anyhow::Result<PathBuf> {
        build_c(self, "recursion", &["recursion.c"], &[])
    }

    /// 10 MB of code: `big SECONDS`. Its build id is 16 known bytes, to be replaced.
    pub(crate) fn big(&self) -> anyhow::Result<PathBuf> {
        let build_id = "-Wl,--build-id=0x6e657665722d7365656e2d6265666f72";
        build_c(self, "big", &["big.c", "big_code.S"], &[build_id])
    }

    /// A process that works for some milliseconds: `short MILLISECONDS`.
    pub(crate) fn short(&self) -> anyhow::Result<PathBuf> {
        build_c(self, "short", &["short.c"], &[])
    }

    /// A source for the compiler to work on, generated.
    pub(crate) fn cpp(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.join("generated.cpp");
        fs::write(&path, cpp_text(TYPES)).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A C++ program with more than 100 MB of debug information, whose time is spent all over its
    /// code.
    ///
    /// One generated file is compiled once with `-O1 -g`; its object is linked in many times with its
    /// symbols made local, so that each copy keeps code and debug information of its own, as the
    /// compilation units of a large C++ program do.
    pub(crate) fn debug_giant(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.join("giant");
        if path.is_file() {
            return Ok(path);
        }
        let object = self.folder.join("generated.o");
        Step::new("g++")
            .args([
                "-O1",
                "-g",
                "-fomit-frame-pointer",
                "-fno-gnu-unique",
                "-c",
                "-o",
            ])
            .args([&object, &self.cpp()?])
            .run()?;
        let ungrouped = self.folder.join("ungrouped.o");
        Step::new("ld")
            .args(["-r", "--force-group-allocation", "-o"])
            .args([&ungrouped, &object])
            .run()?;
        let copies: Vec<PathBuf> = (0..COPIES)
            .map(|number| self.copy(&ungrouped, number))
            .collect::<anyhow::Result<_>>()?;
        let main = self.folder.join("giant_main.cpp");
        fs::write(&main, main_text(COPIES)).context("write giant_main.cpp")?;
        let linked = self.folder.join("giant.unfinished");
        Step::new("g++")
            .args(["-g", "-o"])
            .args([&linked, &main])
            .args(copies)
            .run()?;
        fs::rename(&linked, &path).context("name the giant")?;
        Ok(path)
    }

    /// A copy of an object whose only global symbol is `drive_NUMBER`.
    fn copy(&self, object: &Path, number: usize) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("copy_{number}.o"));
        Step::new("objcopy")
            .args([&format!("--keep-global-symbol=drive_{number}")])
            .args([&format!("--redefine-sym=drive=drive_{number}")])
            .args([object, &path])
            .run()?;
        Ok(path)
    }
}

/// Builds a C workload, -O2 without frame pointers, when it is not there.
pub(crate) fn build_c(
    programs: &Programs<'_>,
    name: &str,
    sources: &[&str],
    flags: &[&str],
) -> anyhow::Result<PathBuf> {
    let path = programs.folder.join(name);
    if !path.is_file() {
        Step::new("gcc")
            .args(["-O2", "-g", "-fomit-frame-pointer", "-o"])
            .args([&path])
            .args(sources.iter().map(|source| programs.sources.join(source)))
            .args(flags)
            .run()
            .with_context(|| format!("build {name}"))?;
    }
    Ok(path)
}

/// C++ that uses the heaviest templates of the standard library with types of its own.
fn cpp_text(types: usize) -> String {
    let mut text = "#include <algorithm>\n#include <map>\n#include <regex>\n#include <string>\n\
                    #include <vector>\n"
        .to_owned();
    let mut calls = String::new();
    for index in 0..types {
        _ = writeln!(
            text,
            "struct key_{index} {{ int value; bool operator<(const key_{index} &o) const {{ return value < o.value; }} }};\n\
             long use_{index}(long round) {{\n\
             std::map<key_{index}, std::string> map; std::vector<key_{index}> keys;\n\
             for (long i = 0; i < 40; i++) keys.push_back({{(int)((i * 7919 + round) % 1009)}});\n\
             std::sort(keys.begin(), keys.end());\n\
             for (auto &key : keys) map[key] = std::to_string(key.value + {index});\n\
             return (long)map.size(); }}"
        );
        _ = writeln!(calls, "sum += use_{index}(round);");
    }
    _ = writeln!(
        text,
        "extern \"C\" long drive(long round) {{ long sum = 0;\n{calls}return sum; }}"
    );
    text
}

/// C++ that calls every copy in turn, without end.
fn main_text(copies: usize) -> String {
    let mut text = String::new();
    let mut calls = String::new();
    for number in 0..copies {
        _ = writeln!(text, "extern \"C\" long drive_{number}(long);");
        _ = writeln!(calls, "sum += drive_{number}(round);");
    }
    format!(
        "{text}int main() {{ volatile long sum = 0;\nfor (long round = 0;; round++) {{\n{calls}}} }}\n"
    )
}
