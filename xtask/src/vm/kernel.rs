//! Kernels to boot: chosen by series, fetched from Debian, kept in the user's cache.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, bail, ensure};

use super::apt_root::AptRoot;
use crate::{command::Step, repository::cache_folder};

/// The flavour made for guests: small, and nothing in it needs a module to boot.
const FLAVOUR: &str = "cloud-amd64";

/// Where packages of kernels start. From 6.19 on the image and its modules are packages of their
/// own; the image alone boots.
const PREFIXES: [&str; 3] = ["linux-binary-unsigned-", "linux-binary-", "linux-image-"];

/// How many packages of a series are tried: old ones stay listed after they are gone.
const TRIES_MAX: usize = 3;

/// A kernel series such as 6.12, or a whole major version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Series(String);

/// A kernel on disk.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The compressed image that QEMU boots.
    pub(super) image: PathBuf,
}

/// The kernels that are there, and where more come from.
pub(super) struct Shelf {
    folder: PathBuf,
    /// The archive, once someone asked for something that is not there.
    archive: std::cell::OnceCell<Result<AptRoot, String>>,
}

impl FromStr for Series {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let is_version = text.split('.').all(|part| part.parse::<u16>().is_ok());
        ensure!(
            is_version,
            "`{text}` is no kernel series, such as 6.12 or 7"
        );
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Series {
    /// Whether this stands for the newest of many series, which changes with time.
    fn is_moving(&self) -> bool {
        !self.0.contains('.')
    }

    /// The version in a package's name, when that is a kernel of this series.
    fn version_of<'a>(&self, package: &'a str) -> Option<&'a str> {
        let name = package.strip_suffix(FLAVOUR)?.strip_suffix('-')?;
        let version = PREFIXES
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))?;
        let rest = version.strip_prefix(&self.0)?;
        rest.starts_with(['.', '-', '+']).then_some(version)
    }

    /// The packages of this series, newest first.
    fn choose<'a>(&self, packages: &'a [String]) -> Vec<&'a str> {
        let mut chosen: Vec<(Vec<u64>, &str)> = packages
            .iter()
            .filter_map(|package| Some((numbers(self.version_of(package)?), package.as_str())))
            .collect();
        chosen.sort();
        chosen
            .into_iter()
            .rev()
            .map(|(_, package)| package)
            .collect()
    }
}

/// The runs of digits in a version, which order as versions do.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

impl Shelf {
    /// Opens the cache, `~/.cache/profiler/kernels`.
    pub(super) fn open() -> anyhow::Result<Self> {
        Ok(Self {
            folder: cache_folder("kernels")?,
            archive: std::cell::OnceCell::new(),
        })
    }

    /// The kernel of a series: from the cache, else from the archive. For a moving series the
    /// archive is asked first, and the cache helps out.
    pub(super) fn get(&self, series: &Series) -> anyhow::Result<Kernel> {
        let kept = self.kept(series);
        match kept {
            Some(kernel) if !series.is_moving() => Ok(kernel),
            kept => match (self.fetch(series), kept) {
                (Ok(kernel), _) => Ok(kernel),
                (Err(error), Some(kernel)) => {
                    println!("vm: kernel {series}: the cached one, because: {error:#}");
                    Ok(kernel)
                }
                (Err(error), None) => Err(error),
            },
        }
    }

    /// The kernel that was fetched for this series.
    fn kept(&self, series: &Series) -> Option<Kernel> {
        let image = self.folder.join(&series.0).join("vmlinuz");
        image.is_file().then_some(Kernel { image })
    }

    /// Fetches the newest kernel of a series that can be had.
    fn fetch(&self, series: &Series) -> anyhow::Result<Kernel> {
        let archive = self
            .archive
            .get_or_init(|| AptRoot::refresh().map_err(|error| format!("{error:#}")));
        let archive = match archive {
            Ok(archive) => archive,
            Err(error) => bail!("no archive: {error}"),
        };
        let packages = archive.packages()?;
        let chosen = series.choose(&packages);
        let mut last = anyhow::anyhow!("the archive has no {FLAVOUR} kernel of this series");
        for package in chosen.into_iter().take(TRIES_MAX) {
            if self.is_kept(series, package) {
                return self.kept(series).context("kept a moment ago");
            }
            println!("vm: fetching {package}");
            match self.unpack(archive, series, package) {
                Ok(kernel) => return Ok(kernel),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whether the cache holds exactly this package.
    fn is_kept(&self, series: &Series, package: &str) -> bool {
        let note = fs::read_to_string(self.folder.join(&series.0).join("package"));
        note.is_ok_and(|kept| kept == package) && self.kept(series).is_some()
    }

    /// Downloads a package and keeps the image that is in it.
    fn unpack(&self, archive: &AptRoot, series: &Series, package: &str) -> anyhow::Result<Kernel> {
        let scratch = self.folder.join(format!("{series}.partial"));
        if scratch.is_dir() {
            fs::remove_dir_all(&scratch).context("remove what an earlier run left")?;
        }
        let contents = scratch.join("contents");
        fs::create_dir_all(&contents).with_context(|| format!("create {}", contents.display()))?;
        archive.download(package, &scratch)?;
        let package_file = find(&scratch, |name| name.starts_with("linux-"))?;
        Step::new("dpkg-deb")
            .args([
                "-x".as_ref(),
                package_file.as_os_str(),
                contents.as_os_str(),
            ])
            .output()?;
        let image = find(&contents, |name| name.starts_with("vmlinuz"))?;
        let place = self.folder.join(&series.0);
        fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
        fs::write(place.join("package"), package).context("note the package")?;
        fs::rename(&image, place.join("vmlinuz")).context("keep the image")?;
        fs::remove_dir_all(&scratch).context("remove what is not needed")?;
        self.kept(series).context("the image is there")
    }
}

/// The first file below a folder whose name is the one sought.
fn find(folder: &Path, is_sought: impl Fn(&str) -> bool) -> anyhow::Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("read {}", next.display()))? {
            let entry = entry.with_context(|| format!("read {}", next.display()))?;
            let kind = entry.file_type().context("look at a file")?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && is_sought(&entry.file_name().to_string_lossy()) {
                return Ok(entry.path());
            }
        }
    }
    bail!("{} holds no such file", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packages chosen for a series among some of the archive.
    fn chosen(series: &str) -> Vec<String> {
        let packages = [
            "linux-image-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-37-cloud-amd64",
            "linux-image-6.1.0-37-cloud-amd64-dbg",
            "linux-image-6.12.27-cloud-amd64",
            "linux-image-6.1.0-37-amd64",
            "linux-binary-7.2.3+deb13-cloud-amd64",
            "linux-binary-unsigned-7.10.1+deb13-cloud-amd64",
        ]
        .map(str::to_owned);
        let series: Series = series.parse().unwrap();
        series
            .choose(&packages)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_series_is_no_prefix_of_another() {
        assert_eq!(
            chosen("6.1"),
            [
                "linux-image-6.1.0-37-cloud-amd64",
                "linux-image-6.1.0-9-cloud-amd64"
            ]
        );
    }

    #[test]
    fn a_major_version_stands_for_its_newest_series() {
        assert_eq!(
            chosen("7").first().unwrap(),
            "linux-binary-unsigned-7.10.1+deb13-cloud-amd64"
        );
    }

    #[test]
    fn a_series_that_is_not_there_has_no_package() {
        assert_eq!(chosen("5.10"), [""; 0]);
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for text in ["", "six", "6.", "6/1", "../6.1"] {
            assert!(text.parse::<Series>().is_err(), "{text}");
        }
    }
}
