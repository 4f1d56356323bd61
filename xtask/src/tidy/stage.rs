//! Where a file or a path of modules belongs.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::arrows::{ROOMS, allowed};

/// Folder of the crate that has stages.
const SOURCE: &str = "profiler/src";

/// What a path of modules, from the root of the crate, points into.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Nothing that has arrows: the root of the crate.
    Root,
    /// A room as a whole.
    Room(String),
    /// A stage.
    Stage(String),
}

/// The modules of a file of the product, from the root of the crate; `None` for other files.
///
/// `profiler/src/host/ring/decode.rs` is `[host, ring, decode]`, `…/host/ring/mod.rs` is
/// `[host, ring]`, `lib.rs` and `main.rs` are the root.
pub(super) fn modules(file: &Path) -> Option<Vec<String>> {
    let inside = file.strip_prefix(SOURCE).ok()?.with_extension("");
    let mut parts: Vec<String> = inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let is_front = match parts.last()?.as_str() {
        "mod" => true,
        "lib" | "main" => parts.len() == 1,
        _ => false,
    };
    if is_front {
        parts.pop();
    }
    Some(parts)
}

/// The place of a path of modules that some code names.
///
/// What lies in a room and is no stage of the table is one of the files of its composition root.
pub(super) fn place<S: AsRef<str>>(modules: &[S]) -> Place {
    let mut names = modules.iter().map(AsRef::as_ref);
    match (names.next(), names.next()) {
        (None, _) => Place::Root,
        (Some(room), None) if ROOMS.contains(&room) => Place::Room(room.to_owned()),
        (Some(room), Some(stage)) if ROOMS.contains(&room) => {
            if allowed(stage).is_some() {
                Place::Stage(stage.to_owned())
            } else {
                composition_root(room)
            }
        }
        (Some(stage), _) => Place::Stage(stage.to_owned()),
    }
}

/// The place of a file of the product; `None` for other files.
///
/// Unlike a path of modules, a file shows whether it lies in a folder of its own, so that a stage
/// that is missing from the table is known for one.
pub(super) fn place_of_file(file: &Path) -> Option<Place> {
    let modules = modules(file)?;
    let folders = file.strip_prefix(SOURCE).ok()?.components().count() - 1;
    Some(match modules.as_slice() {
        [room, _] if folders == 1 && ROOMS.contains(&room.as_str()) => composition_root(room),
        [room, stage, ..] if ROOMS.contains(&room.as_str()) => Place::Stage(stage.clone()),
        modules => place(modules),
    })
}

/// The files that lie directly in a room and connect its stages.
fn composition_root(room: &str) -> Place {
    Place::Stage(format!("{room}/run"))
}

/// The names of the folders that are stages, among the files of the repository.
pub(super) fn folders(files: &[PathBuf]) -> BTreeSet<String> {
    files
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name == "mod.rs"))
        .filter_map(|file| match modules(file).as_deref()? {
            [stage] if !ROOMS.contains(&stage.as_str()) => Some(stage.clone()),
            [room, stage] if ROOMS.contains(&room.as_str()) => Some(stage.clone()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(file: &str) -> Option<Place> {
        place_of_file(Path::new(file))
    }

    #[test]
    fn a_file_knows_its_stage() {
        let stage = |name: &str| Some(Place::Stage(name.to_owned()));
        assert_eq!(place_of("profiler/src/host/ring/decode.rs"), stage("ring"));
        assert_eq!(place_of("profiler/src/host/ring/mod.rs"), stage("ring"));
        assert_eq!(place_of("profiler/src/host/run.rs"), stage("host/run"));
        assert_eq!(place_of("profiler/src/host/command.rs"), stage("host/run"));
        assert_eq!(
            place_of("profiler/src/host/weather/mod.rs"),
            stage("weather")
        );
        assert_eq!(place_of("profiler/src/model/frame.rs"), stage("model"));
        assert_eq!(
            place_of("profiler/src/host/mod.rs"),
            Some(Place::Room("host".to_owned()))
        );
        assert_eq!(place_of("profiler/src/main.rs"), Some(Place::Root));
        assert_eq!(place_of("profiler-common/src/lib.rs"), None);
    }

    #[test]
    fn a_path_of_modules_knows_its_stage() {
        let stage = |name: &str| Place::Stage(name.to_owned());
        assert_eq!(place(&["host", "ring", "decode"]), stage("ring"));
        assert_eq!(place(&["host", "shutdown", "Shutdown"]), stage("host/run"));
        assert_eq!(place(&["model"]), stage("model"));
        assert_eq!(place::<&str>(&[]), Place::Root);
    }

    #[test]
    fn folders_with_a_front_page_are_stages() {
        let files = [
            "profiler/src/host/mod.rs",
            "profiler/src/host/ring/mod.rs",
            "profiler/src/host/ring/mmap/mod.rs",
            "profiler/src/host/run.rs",
            "profiler/src/model/mod.rs",
            "tests/it/kernel/mod.rs",
        ]
        .map(PathBuf::from);
        let expected = ["model", "ring"].map(str::to_owned);
        assert_eq!(folders(&files), BTreeSet::from(expected));
    }
}
