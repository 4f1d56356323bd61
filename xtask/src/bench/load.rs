//! Load that runs while something is measured. Dropping it ends it, children included.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;

use super::{machine::cpus, product::Product};
use crate::command::{Step, is_command};

/// Longest life of a load, so that none is left behind by a benchmark that was killed.
const LIFE: Duration = Duration::from_secs(900);

/// Programs that run, each the leader of a process group.
#[derive(Default)]
pub(crate) struct Load {
    children: Vec<Child>,
}

impl Load {
    /// What hosts do, all at once, endlessly: a C++ build with debug information, a Python and a Node
    /// program, OpenSSL, and a shell that starts short processes. Tools that the host lacks are left
    /// out, and said so.
    pub(crate) fn mixed(product: &Product<'_>) -> anyhow::Result<Self> {
        let programs = product.programs();
        let source = |name| programs.sources.join(name).into_os_string();
        let folder = product.folder.clone().into_os_string();
        let mut load = Self::default();
        load.again_and_again(
            "g++",
            r#"g++ -O2 -g -c -o /dev/null "$0""#,
            &[programs.cpp()?.into()],
        )?;
        load.again_and_again(
            "sh",
            r#"sh "$0" 10 "$1""#,
            &[source("shell.sh"), programs.short()?.into()],
        )?;
        load.again_and_again("python3", r#"python3 "$0" 60"#, &[source("interpreter.py")])?;
        let node = r#"cd "$1" && node --perf-basic-prof "$0" 60"#;
        load.again_and_again("node", node, &[source("jit.js"), folder])?;
        load.again_and_again("openssl", "openssl speed -seconds 1 sha256 rsa2048", &[])?;
        Ok(load)
    }

    /// Recursion to a depth, once for each CPU.
    pub(crate) fn recursion(product: &Product<'_>, depth: u32) -> anyhow::Result<Self> {
        let program = product.programs().recursion()?;
        let mut load = Self::default();
        for _ in 0..cpus()? {
            let seconds = LIFE.as_secs().to_string();
            load.start(&program, &[seconds.into(), depth.to_string().into()])?;
        }
        Ok(load)
    }

    /// Adds a program that runs until it is ended.
    pub(crate) fn start(&mut self, program: &Path, arguments: &[OsString]) -> anyhow::Result<()> {
        let child = Command::new("timeout")
            .arg(LIFE.as_secs().to_string())
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        self.children
            .push(child.with_context(|| format!("start {}", program.display()))?);
        Ok(())
    }

    /// Adds an endless loop around a line of shell, if the tool it needs is there.
    fn again_and_again(
        &mut self,
        tool: &str,
        line: &str,
        arguments: &[OsString],
    ) -> anyhow::Result<()> {
        if !is_command(tool) {
            println!("mixed load: without {tool}, which is not installed");
            return Ok(());
        }
        let mut words: Vec<OsString> =
            vec!["-c".into(), format!("while :; do {line}; done").into()];
        words.extend_from_slice(arguments);
        self.start(Path::new("sh"), &words)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Both do nothing when it has ended by itself, which is what is wanted.
            let group = format!("-{}", child.id());
            Step::new("kill").args(["-KILL", "--", &group]).succeeds();
            drop(child.wait());
        }
    }
}
