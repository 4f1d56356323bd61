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
/// Endings of the two packed forms that each file of the page has.
const PACKED: [&str; 2] = ["gz", "br"];

/// Writes `page.rs`: an array with an entry for each file of the page.
pub(crate) fn embed() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed={WATCHED_DIR}");
    let root = Path::new(PAGE_DIR);
    let mut files = Vec::new();
    if root.is_dir() {
        list(root, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        entry(root, file, &mut table)?;
    }
    table.push_str("]\n");
    let output = env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?;
    fs::write(Path::new(&output).join("page.rs"), table).context("write the table of the page")
}

/// All files below a folder that have both packed forms.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry.context("read a folder of the page")?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if PACKED.iter().all(|ending| packed(&path, ending).is_file()) {
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

/// Adds the entry of a file.
fn entry(root: &Path, file: &Path, table: &mut String) -> anyhow::Result<()> {
    let path = file.strip_prefix(root).context("a file of the page")?;
    let mut forms = Vec::new();
    for ending in PACKED {
        let packed = packed(file, ending).canonicalize();
        forms.push(packed.context("find a packed file of the page")?);
    }
    let [gzip, brotli] = forms.as_slice() else {
        anyhow::bail!("a file has two packed forms");
    };
    writeln!(
        table,
        "    PageFile {{ path: {:?}, gzip: include_bytes!({gzip:?}), brotli: include_bytes!({brotli:?}) }},",
        format!("/{}", path.display()),
    )
    .context("write to a text")
}
