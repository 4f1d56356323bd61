//! One guest: booted, bounded in time, and heard out.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, bail};

use super::{kernel::Kernel, report::Report};
use crate::command::Step;

/// Longest a guest may take. Emulation is about twenty times slower than the host, and the
/// verifiers of 6.12 and 6.16 take half a minute over a large program.
const LIMIT: Duration = Duration::from_secs(240);

/// Guests that do not come up are tried once more: with emulated CPUs one boot in a hundred hangs.
const TRIES: usize = 2;

/// Memory of a guest in MiB: the unpacked image, the profiler's tables, and room.
const MEMORY_MIB: &str = "1024";

/// What the kernel is told. Its own messages stay on the first port; a panic ends QEMU.
const KERNEL_ARGS: &str = "console=ttyS0 quiet panic=-1 rdinit=/init tsc=reliable mitigations=off";

/// Boots a kernel with the image and hands back what the guest said. Both ports are kept in the
/// folder `log`.
///
/// # Errors
/// The guest did not come to the end of its script, with the kernel's last words.
pub(super) fn boot(kernel: &Kernel, image: &Path, log: &Path) -> anyhow::Result<Report> {
    fs::create_dir_all(log).with_context(|| format!("create {}", log.display()))?;
    let mut complaint = String::new();
    for _ in 0..TRIES {
        let console = log.join("console");
        let said = log.join("report");
        for port in [&console, &said] {
            // What an earlier boot said must not pass for this one's.
            fs::write(port, "").with_context(|| format!("empty {}", port.display()))?;
        }
        let is_in_time = qemu(kernel, image, &console, &said, &log.join("qemu"))?;
        let report = Report::read(&read(&said)?);
        if report.is_whole {
            return Ok(report);
        }
        complaint = last_words(&read(&console)?);
        if !is_in_time {
            complaint = format!("it was ended after {} s; {complaint}", LIMIT.as_secs());
        }
        if let Some(step) = report.open_step() {
            complaint = format!("it was at `{step}`; {complaint}");
        }
        println!("vm: the guest did not come to its end; {complaint}");
    }
    bail!(
        "the guest did not come to its end, {TRIES} times; {complaint}; see {}",
        log.display()
    )
}

/// Runs QEMU until the guest powers off; false when its time was over first.
///
/// Its status says nothing: it is 0 after a panic as well. Plain emulation with one thread,
/// because stock kernels hang on nested virtualization and now and then fail with several threads
/// while they patch their own text.
fn qemu(
    kernel: &Kernel,
    image: &Path,
    console: &Path,
    said: &Path,
    log: &Path,
) -> anyhow::Result<bool> {
    let port = |name: &str, file: &Path| format!("file,id={name},path={}", file.display());
    let status = Step::bounded(LIMIT, "qemu-system-x86_64")
        .args(["-machine", "pc", "-accel", "tcg,thread=single"])
        .args(["-smp", "2", "-cpu", "max", "-m", MEMORY_MIB])
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-display", "none"])
        .args(["-chardev", &port("console", console)])
        .args(["-serial", "chardev:console"])
        .args(["-chardev", &port("said", said)])
        .args(["-serial", "chardev:said"])
        .args(["-kernel".as_ref(), kernel.image.as_os_str()])
        .args(["-initrd".as_ref(), image.as_os_str()])
        .args(["-append", KERNEL_ARGS])
        .into_file(log)
        .context("run QEMU")?;
    // What `timeout` says when it had to end its command.
    Ok(status.code() != Some(124))
}

/// What a port wrote; nothing when it wrote nothing.
fn read(file: &Path) -> anyhow::Result<String> {
    match fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).replace('\r', "")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

/// The line of a console that says most about why the guest ended.
fn last_words(console: &str) -> String {
    let telling = ["Kernel panic", "Oops", "BUG"];
    let line = console
        .lines()
        .find(|line| telling.iter().any(|word| line.contains(word)))
        .or_else(|| console.lines().rfind(|line| !line.trim().is_empty()));
    line.map_or_else(
        || "its kernel said nothing".to_owned(),
        |line| format!("its kernel said: {line}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_worth_more_than_the_last_line() {
        let console = "[1] Kernel panic - not syncing: no init\n[2] Rebooting\n";
        assert!(last_words(console).ends_with("no init"));
        assert_eq!(last_words("a\nb\n\n"), "its kernel said: b");
        assert_eq!(last_words(""), "its kernel said nothing");
    }
}
