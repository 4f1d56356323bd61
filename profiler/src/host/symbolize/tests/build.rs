//! Builds programs, takes them apart, and names places in them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    host::symbolize::{Contents, ObjectSource, Options, Symbolizer},
    model::{FileOffset, Naming},
};

/// Two levels of inlining, a function of another file's face, and a label without a size.
pub(super) const SOURCE: &str = r#"
static inline __attribute__((always_inline)) int inner(volatile int *x) {
    return *x * 3;
}
static inline __attribute__((always_inline)) int middle(volatile int *x) {
    int y = inner(x);
    return y + *x;
}
__attribute__((noinline)) int outer(volatile int *x) {
    int y = middle(x);
    return y - *x;
}
__attribute__((noinline)) static int hidden(volatile int *x) {
    return *x + 11;
}
__attribute__((noinline)) int exported(volatile int *x) {
    return *x + hidden(x);
}
__asm__(".text\n.globl label\nlabel: nop\nnop\nnop\nret\n.size label, 0\n");
int main(int count, char **words) {
    volatile int x = count;
    return outer(&x) + exported(&x);
}
"#;

/// A directory with one program in it.
pub(super) struct Built {
    /// Removed when the test ends.
    pub dir: TempDir,
    /// The program.
    pub program: PathBuf,
}

/// A function as `nm` and `readelf` know it.
#[derive(Clone, Debug)]
pub(super) struct Function {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Bytes; zero for a label.
    pub size: u64,
}

/// Runs a tool; its output as text.
#[track_caller]
pub(super) fn output_of(tool: &str, arguments: &[&OsStr]) -> String {
    let output = Command::new(tool).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{tool}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a tool with arguments that are words or paths.
macro_rules! run {
    ($tool:expr $(, $argument:expr)* $(,)?) => {
        crate::host::symbolize::tests::build::output_of(
            $tool,
            &[$(std::ffi::OsStr::new(&$argument)),*],
        )
    };
}
pub(super) use run;

/// Compiles [`SOURCE`].
#[track_caller]
pub(super) fn build(options: &[&str]) -> Built {
    build_with("gcc", "program.c", SOURCE, options)
}

/// Compiles a source file.
#[track_caller]
pub(super) fn build_with(compiler: &str, name: &str, source: &str, options: &[&str]) -> Built {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    let program = dir.path().join("program");
    fs::write(&file, source).unwrap();
    let mut arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
    arguments.extend([file.as_os_str(), OsStr::new("-o"), program.as_os_str()]);
    output_of(compiler, &arguments);
    Built { dir, program }
}

impl Built {
    /// A path in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Finds a function in the program's full symbol table.
    #[track_caller]
    pub(super) fn function(&self, name: &str) -> Function {
        let symbols = run!("nm", "-S", self.program);
        let line = symbols
            .lines()
            .find(|line| line.split_ascii_whitespace().next_back() == Some(name))
            .unwrap();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let has_size = words.len() == 4;
        let number = |word: &str| u64::from_str_radix(word, 16).unwrap();
        Function {
            offset: self.offset_of(number(words[0])),
            size: if has_size { number(words[1]) } else { 0 },
        }
    }

    /// The offset in the file of a linked address, from `readelf`.
    fn offset_of(&self, address: u64) -> u64 {
        let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
        let headers = run!("readelf", "-lW", self.program);
        let offsets = headers.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (&"LOAD", [offset, start, _, size, ..]) = words.split_first()? else {
                return None;
            };
            let inside = address.checked_sub(number(start))?;
            (inside < number(size)).then(|| inside + number(offset))
        });
        offsets.max().unwrap()
    }

    /// The program as its process would see it.
    pub(super) fn source(&self) -> ObjectSource<'_> {
        ObjectSource {
            contents: Contents::Path(self.program.clone()),
            shown_path: self.program.to_str().unwrap(),
            build_id: None,
            root: None,
        }
    }

    /// Options that look for debug files in `debug` of this directory only.
    pub(super) fn options(&self) -> Options {
        Options {
            debug_dirs: vec![self.path("debug")],
            deadline_per_object: Duration::from_secs(60),
            ..Options::default()
        }
    }

    /// Names one place.
    pub(super) fn name(&self, offset: u64) -> String {
        let found =
            Symbolizer::new(self.options()).name_object(&self.source(), &[FileOffset(offset)]);
        text(&found[0])
    }

    /// Names each byte of a function; each answer once, in order.
    pub(super) fn names_in(&self, function: &Function) -> Vec<String> {
        let offsets: Vec<FileOffset> = (function.offset..function.offset + function.size)
            .map(FileOffset)
            .collect();
        let mut names: Vec<String> = Symbolizer::new(self.options())
            .name_object(&self.source(), &offsets)
            .iter()
            .map(text)
            .collect();
        names.dedup();
        names
    }
}

/// One naming as a text: `inner program.c:3 < outer program.c:9`, or the reason.
pub(super) fn text(naming: &Naming) -> String {
    let locations = match naming {
        Naming::Named(locations) => locations,
        Naming::Unnamed(reason) => return format!("{reason:?}"),
    };
    let texts = locations.iter().map(|location| {
        let mut text = location.function.clone();
        if let Some(file) = &location.file {
            let file = Path::new(file).file_name().unwrap().to_str().unwrap();
            text = format!("{text} {file}");
        }
        location
            .line
            .map_or_else(|| text.clone(), |line| format!("{text}:{line}"))
    });
    texts.collect::<Vec<_>>().join(" < ")
}
