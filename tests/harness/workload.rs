//! Builds workloads on demand and keeps them until their sources or flags change.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use super::recipe::{Finish, RECIPES, Recipe};

/// What sources include.
const HEADERS: &[&str] = &["spin.h", "steps.h"];

/// Where the built workloads and the locks are: `workloads` beside the products of the build.
///
/// # Errors
/// When the place of the running test cannot be found, or the folder not made.
pub fn build_dir() -> anyhow::Result<PathBuf> {
    let dir = target_dir()?.join("workloads");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}

/// `target/<profile>`: tests run from its folder `deps`.
pub(super) fn target_dir() -> anyhow::Result<PathBuf> {
    let test = env::current_exe().context("find the running test")?;
    let dir = test.ancestors().nth(2);
    let dir = dir.with_context(|| format!("{} is not in target/<profile>/deps", test.display()))?;
    Ok(dir.to_owned())
}

/// Path of a file in `tests/workloads`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("workloads")
        .join(name)
}

/// Path of a built workload; builds it first if it is new or has changed.
///
/// # Errors
/// When no workload has this name, or the compiler is missing or fails; with its output.
pub fn workload(name: &str) -> anyhow::Result<PathBuf> {
    let recipe = RECIPES.iter().find(|recipe| recipe.name == name);
    let recipe = recipe.with_context(|| format!("no workload is called {name}"))?;
    let library = recipe.library.map(workload).transpose()?;
    let dir = build_dir()?;
    let lock = File::create(dir.join("build.lock")).context("create the lock of the builder")?;
    lock.lock().context("lock the builder")?;
    let kept = dir.join(format!(
        "{name}-{:016x}",
        fingerprint(recipe, library.as_deref())?
    ));
    if !kept.join(name).is_file() {
        build(recipe, library.as_deref(), &kept)
            .with_context(|| format!("build workload {name}"))?;
    }
    Ok(kept.join(name))
}

/// Changes when a source, a flag, the library or what comes after linking does.
fn fingerprint(recipe: &Recipe, library: Option<&Path>) -> anyhow::Result<u64> {
    let mut hasher = DefaultHasher::new();
    format!("{recipe:?}").hash(&mut hasher);
    library.hash(&mut hasher);
    for name in recipe.sources.iter().chain(HEADERS) {
        let path = source(name);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        hasher.write(&bytes);
    }
    Ok(hasher.finish())
}

/// Compiles into a folder beside `kept`, which gets its name only when all has gone well.
fn build(recipe: &Recipe, library: Option<&Path>, kept: &Path) -> anyhow::Result<()> {
    let unfinished = kept.with_extension("unfinished");
    fs::create_dir_all(&unfinished)?;
    let file = unfinished.join(recipe.name);
    run(compiler(recipe, library, &file))?;
    match recipe.finish {
        Finish::AsLinked => {}
        Finish::Stripped => strip(&file)?,
        Finish::DebugLink => move_debug_information(&file)?,
        Finish::MiniDebug => embed_symbols(&file)?,
    }
    fs::rename(&unfinished, kept).with_context(|| format!("rename to {}", kept.display()))
}

/// The call of the compiler.
fn compiler(recipe: &Recipe, library: Option<&Path>, file: &Path) -> Command {
    let mut command = Command::new(recipe.compiler);
    command.arg("-o").arg(file);
    command.args(recipe.sources.iter().map(|name| source(name)));
    if let Some(library) = library {
        command.arg(library);
        let dir = library.parent().unwrap_or(library);
        command.arg(format!("-Wl,-rpath,{}", dir.display()));
    }
    command.args(recipe.flags);
    command
}

/// Removes all but the dynamic symbols.
fn strip(file: &Path) -> anyhow::Result<()> {
    run(command("strip", ["--strip-all".as_ref(), file.as_os_str()]))
}

/// Leaves a `.gnu_debuglink` to a file with the extension `debug`, which has the rest.
fn move_debug_information(file: &Path) -> anyhow::Result<()> {
    let debug = file.with_extension("debug");
    let only_debug = [
        "--only-keep-debug".as_ref(),
        file.as_os_str(),
        debug.as_os_str(),
    ];
    run(command("objcopy", only_debug))?;
    strip(file)?;
    let mut link = Command::new("objcopy");
    link.arg(format!("--add-gnu-debuglink={}", debug.display()))
        .arg(file);
    run(link)
}

/// Leaves the symbols in a `.gnu_debugdata` section, compressed.
fn embed_symbols(file: &Path) -> anyhow::Result<()> {
    let symbols = file.with_extension("symbols");
    let only_debug = [
        "--only-keep-debug".as_ref(),
        file.as_os_str(),
        symbols.as_os_str(),
    ];
    run(command("objcopy", only_debug))?;
    run(command("xz", ["--force".as_ref(), symbols.as_os_str()]))?;
    strip(file)?;
    let mut add = Command::new("objcopy");
    add.arg(format!(
        "--add-section=.gnu_debugdata={}.xz",
        symbols.display()
    ));
    run(add.arg(file))
}

/// A command with its arguments.
fn command<const N: usize>(program: &str, arguments: [&OsStr; N]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a tool to its end.
fn run(mut command: impl std::borrow::BorrowMut<Command>) -> anyhow::Result<()> {
    let command = command.borrow_mut();
    let output = command
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{} ends with {}: {}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::{RECIPES, workload};

    /// Every one that this host has the compiler and the libraries for.
    #[test]
    fn every_workload_can_be_built() {
        for recipe in RECIPES {
            let file = workload(recipe.name).unwrap();
            assert!(fs::metadata(file).unwrap().len() > 1000, "{}", recipe.name);
        }
    }

    #[test]
    fn a_built_workload_is_kept() {
        let file = workload("short").unwrap();
        let first = fs::metadata(&file).unwrap().modified().unwrap();
        let again = fs::metadata(workload("short").unwrap()).unwrap();
        assert_eq!(first, again.modified().unwrap());
        assert!(Command::new(file).arg("1").status().unwrap().success());
    }

    #[test]
    fn an_unknown_workload_is_an_error() {
        assert!(
            workload("nothing")
                .unwrap_err()
                .to_string()
                .contains("nothing")
        );
    }
}
