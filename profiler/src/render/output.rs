//! Where the output of each event goes.

use std::path::{Path, PathBuf};

use super::format::Format;
use crate::model::Signal;

/// The file for one of `count` events: as asked for when there is only one, otherwise with the
/// event's name before the extension (`out.svg` becomes `out.cpu.svg`).
pub fn path_for(path: &Path, signal: Signal, count: usize) -> PathBuf {
    if count < 2 {
        return path.to_owned();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = Format::extension_of(&name);
    let stem = name.strip_suffix(extension).unwrap_or(&name);
    path.with_file_name(format!("{stem}.{}{extension}", signal.as_str()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::path_for;
    use crate::model::Signal;

    #[test]
    fn the_event_stands_before_the_whole_extension() {
        let name = |path: &str, count| {
            let path = path_for(Path::new(path), Signal::Cpu, count);
            path.to_string_lossy().into_owned()
        };
        assert_eq!("a/out.svg", name("a/out.svg", 1));
        assert_eq!("a/out.cpu.svg", name("a/out.svg", 2));
        assert_eq!("out.cpu.pb.gz", name("out.pb.gz", 2));
        assert_eq!("x.cpu.speedscope.json", name("x.speedscope.json", 2));
        assert_eq!("plain.cpu", name("plain", 2));
    }
}
