//! Packages of Debian and its relatives: which are missing, and how they are installed.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;

use crate::command::{Step, can_be_root, is_command};

/// Something that a package brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// The package, by Debian's name.
    pub(crate) package: &'static str,
    /// What shows that it is there.
    pub(crate) presence: Presence,
}

/// What shows that a need is met.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presence {
    /// Only the package itself.
    Package,
    /// A command of this name, whoever installed it.
    Command(&'static str),
}

impl Need {
    /// A need that only the package itself meets.
    pub(crate) const fn package(package: &'static str) -> Self {
        Self {
            package,
            presence: Presence::Package,
        }
    }

    /// A need that any command of this name meets.
    pub(crate) const fn command(package: &'static str, command: &'static str) -> Self {
        Self {
            package,
            presence: Presence::Command(command),
        }
    }
}

/// Installs the packages of unmet needs. A package that this host's archive does not have is said
/// aloud and left out, as is everything on a host without apt or without root.
///
/// # Errors
/// The archive has the package and its installation does not work.
pub(crate) fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !can_install() {
        eprintln!(
            "setup: missing, and not installed for want of apt or root: {}",
            missing.join(" ")
        );
        return Ok(());
    }
    update()?;
    let known = with_candidate(&missing)?;
    for package in missing.iter().filter(|package| !known.contains(*package)) {
        eprintln!("setup: this host's archive has no {package}");
    }
    install(&known)
}

/// Whether packages can be installed here at all.
pub(crate) fn can_install() -> bool {
    is_command("apt-get") && is_command("dpkg-query") && can_be_root()
}

/// Packages of the needs that are not met.
pub(crate) fn missing(needs: &[Need]) -> Vec<&'static str> {
    let packages = needs
        .iter()
        .filter(|need| matches!(need.presence, Presence::Package))
        .map(|need| need.package);
    let installed = installed(packages);
    needs
        .iter()
        .filter(|need| match need.presence {
            Presence::Package => !installed.contains(need.package),
            Presence::Command(name) => !is_command(name),
        })
        .map(|need| need.package)
        .collect()
}

/// Refreshes the lists of the archive, once a run.
pub(crate) fn update() -> anyhow::Result<()> {
    static UPDATED: AtomicBool = AtomicBool::new(false);
    if UPDATED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    apt_get(["update", "-q"])
        .run()
        .context("refresh the package lists")
}

/// The packages that the archive can install.
pub(crate) fn with_candidate(packages: &[&'static str]) -> anyhow::Result<Vec<&'static str>> {
    let policy = Step::new("apt-cache")
        .args(["policy"])
        .args(packages)
        .env("LC_ALL", "C")
        .output()?;
    let known = candidates(&policy);
    Ok(packages
        .iter()
        .copied()
        .filter(|package| known.contains(package))
        .collect())
}

/// Installs packages without their recommendations.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    apt_get(["install", "-y", "-q", "--no-install-recommends"])
        .args(packages)
        .run()
        .with_context(|| format!("install {}", packages.join(" ")))
}

/// An apt-get command that asks nothing and waits for another one to finish.
fn apt_get<const N: usize>(args: [&str; N]) -> Step {
    Step::as_root("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", "DPkg::Lock::Timeout=600"])
        .args(args)
}

/// Those of the packages that dpkg has installed; none where there is no dpkg.
fn installed(packages: impl Iterator<Item = &'static str>) -> BTreeSet<String> {
    // dpkg-query says 1 when it does not know one of them, and still lists the others.
    let listed = Step::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"])
        .args(packages)
        .text();
    listed
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .map(str::to_owned)
        .collect()
}

/// Names in the output of `apt-cache policy` that have a version to install.
fn candidates(policy: &str) -> BTreeSet<&str> {
    let mut name = "";
    let mut known = BTreeSet::new();
    for line in policy.lines() {
        if let Some(heading) = line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            name = heading;
        } else if let Some(version) = line.trim().strip_prefix("Candidate: ")
            && version != "(none)"
        {
            known.insert(name);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_candidate_is_not_installed() {
        let policy = "gcc:\n  Installed: (none)\n  Candidate: 4:12.2\n  Version table:\n     4:12.2 500\n\
                      ghost:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n";
        assert_eq!(candidates(policy), BTreeSet::from(["gcc"]));
    }

    #[test]
    fn a_command_that_is_there_meets_its_need() {
        let needs = [
            Need::command("coreutils", "sh"),
            Need::command("ghost", "no-program-has-this-name"),
            Need::package("no-package-has-this-name"),
        ];
        assert_eq!(missing(&needs), ["ghost", "no-package-has-this-name"]);
    }
}
