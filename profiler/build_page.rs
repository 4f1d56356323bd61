//! Puts the web page into the crate: what `npm run build` left in `web/dist/page`, if anything.

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The folder that is watched. It is always there: a missing one would be a change each time.
const WATCHED_DIR: &str = "../web/dist";
/// The page in it; absent where it was not built.
const PAGE_DIR: &str = "../web/dist/page";
/// Endings of the two packed forms that each file of the page has, and the fields they go into.
const PACKED: [(&str, &str); 2] = [("gz", "gzip"), ("br", "brotli")];

/// Writes `page.rs`: an array with an entry for each file of the page. The files are copied beside it,
/// so that the page may be built anew while this crate is compiled.
pub(crate) fn embed() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed={WATCHED_DIR}");
    let root = Path::new(PAGE_DIR);
    let mut files = Vec::new();
    if root.is_dir() {
        list(root, &mut files)?;
    }
    files.sort();
    let output = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let path = file.strip_prefix(root).context("a file of the page")?;
        let place = path.display().to_string();
        let place = place.escape_default();
        write!(table, "    PageFile {{ path: \"/{place}\", ")?;
        for (ending, field) in PACKED {
            let name = format!("page-{number}.{ending}");
            fs::copy(packed(file, ending), output.join(&name))
                .with_context(|| format!("copy {}.{ending}", file.display()))?;
            let include = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))");
            write!(table, "{field}: {include}, ")?;
        }
        table.push_str("},\n");
    }
    table.push_str("]\n");
    fs::write(output.join("page.rs"), table).context("write the table of the page")
}

/// All files below a folder that have both packed forms.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry.context("read a folder of the page")?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if (PACKED.iter()).all(|(ending, _)| packed(&path, ending).is_file()) {
            files.push(path);
        }
    }
    Ok(())
}

/// Where a packed form of a file is.
fn packed(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(OsStr::new("."));
    name.push(ending);
    PathBuf::from(name)
}
