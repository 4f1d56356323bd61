//! A private apt: suites with other kernels, without touching the system's own configuration.
//!
//! The mirrors are those that the system's sources name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::{command::Step, repository::cache_folder};

/// Suites that carry kernels, and whether they lie on the mirror for security updates.
const SUITES: [(&str, bool); 4] = [
    ("bullseye-security", true),
    ("bookworm-security", true),
    ("trixie-security", true),
    ("trixie-backports", false),
];

/// Where Debian keeps the keys of its archive.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where the system says which archives it uses.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];

/// An apt with folders of its own.
pub(super) struct AptRoot {
    folder: PathBuf,
}

/// Base addresses of the two mirrors.
#[derive(Debug, Default, Eq, PartialEq)]
struct Mirrors {
    main: Option<String>,
    security: Option<String>,
}

impl AptRoot {
    /// Makes the folders and the list of sources, and fetches the package lists.
    pub(super) fn refresh() -> anyhow::Result<Self> {
        let folder = cache_folder("apt")?;
        for name in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        let mirrors = Mirrors::of_system().context("read apt's sources")?;
        let sources = mirrors.sources();
        ensure!(
            !sources.is_empty(),
            "apt's sources name no mirror of Debian"
        );
        for (name, text) in [("sources.list", sources.as_str()), ("status", "")] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        let root = Self { folder };
        root.step("apt-get").args(["update"]).output()?;
        Ok(root)
    }

    /// Names of all packages.
    pub(super) fn packages(&self) -> anyhow::Result<Vec<String>> {
        let names = self
            .step("apt-cache")
            .args(["pkgnames", "linux-"])
            .output()?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads a package into a folder.
    pub(super) fn download(&self, package: &str, folder: &Path) -> anyhow::Result<()> {
        self.step("apt-get")
            .args(["download", package])
            .folder(folder)
            .output()?;
        Ok(())
    }

    /// A command of apt that knows only this root.
    fn step(&self, program: &str) -> Step {
        let folder = self.folder.display();
        let options = [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::State::status={folder}/status"),
            format!("Dir::Cache={folder}/cache"),
            // The user who fetches may not be able to enter a home folder.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        Step::new(program).args(options.iter().flat_map(|option| ["-o", option]))
    }
}

impl Mirrors {
    /// The mirrors that the system's own sources name.
    fn of_system() -> anyhow::Result<Self> {
        let mut mirrors = Self::default();
        for path in SOURCES.map(Path::new) {
            let files = if path.is_dir() {
                fs::read_dir(path)?
                    .map(|entry| entry.map(|entry| entry.path()))
                    .collect::<Result<Vec<_>, _>>()?
            } else {
                vec![path.to_owned()]
            };
            for file in files.iter().filter(|file| file.is_file()) {
                mirrors.read(&fs::read_to_string(file)?);
            }
        }
        Ok(mirrors)
    }

    /// Takes the mirrors from the text of a sources file, in either of apt's two forms.
    fn read(&mut self, text: &str) {
        for stanza in text.split("\n\n") {
            let field = |name: &str| {
                stanza
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            };
            if let (Some(address), Some(suites)) = (field("URIs"), field("Suites")) {
                for suite in suites.split_whitespace() {
                    self.note(address.split_whitespace().next(), suite);
                }
            }
        }
        for line in text.lines().filter(|line| line.starts_with("deb ")) {
            let mut words = line.split_whitespace().skip(1).peekable();
            // Options stand in brackets, and may be several words.
            if words.peek().is_some_and(|word| word.starts_with('[')) {
                words.find(|word| word.ends_with(']'));
            }
            let address = words.next();
            if let Some(suite) = words.next() {
                self.note(address, suite);
            }
        }
    }

    /// Notes a mirror when the suite is one of Debian's.
    fn note(&mut self, address: Option<&str>, suite: &str) {
        let codenames = SUITES.map(|(name, _)| name.split('-').next());
        let mut words = suite.split('-');
        let release = words.next();
        let is_debian = codenames.contains(&release) || matches!(release, Some("sid" | "forky"));
        let place = match (is_debian, words.next()) {
            (true, None) => &mut self.main,
            (true, Some("security")) => &mut self.security,
            _ => return,
        };
        if place.is_none() {
            *place = address.map(str::to_owned);
        }
    }

    /// The list of sources for the private apt.
    fn sources(&self) -> String {
        SUITES
            .iter()
            .filter_map(|(suite, is_security)| {
                let mirror = if *is_security {
                    &self.security
                } else {
                    &self.main
                };
                let mirror = mirror.as_deref()?;
                Some(format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(text: &str) -> Mirrors {
        let mut mirrors = Mirrors::default();
        mirrors.read(text);
        mirrors
    }

    fn both() -> Mirrors {
        Mirrors {
            main: Some("http://m/debian".to_owned()),
            security: Some("http://m/security".to_owned()),
        }
    }

    #[test]
    fn mirrors_are_read_from_stanzas() {
        let text = "Types: deb\nURIs: http://m/debian\nSuites: bookworm bookworm-updates\n\n\
                    Types: deb\nURIs: http://m/security\nSuites: bookworm-security\n";
        assert_eq!(mirrors(text), both());
    }

    #[test]
    fn mirrors_are_read_from_lines() {
        let text = "# deb http://old/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://m/debian bookworm main\n\
                    deb http://m/security bookworm-security main\n";
        assert_eq!(mirrors(text), both());
    }

    #[test]
    fn archives_of_others_are_no_mirrors() {
        let text = "deb https://node.example nodistro main\ndeb http://u/ubuntu noble main\n";
        assert_eq!(mirrors(text), Mirrors::default());
        assert_eq!(mirrors(text).sources(), "");
    }

    #[test]
    fn suites_go_to_their_mirror() {
        let sources = both().sources();
        assert!(sources.contains("http://m/security trixie-security main\n"));
        assert!(sources.contains("http://m/debian trixie-backports main\n"));
    }
}
