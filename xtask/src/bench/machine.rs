//! What figures were measured on.

use std::{fs, thread};

use anyhow::Context as _;

use crate::command::Step;

/// CPU, cores, kernel, date, and how busy the machine was, in one line.
pub(crate) fn describe() -> anyhow::Result<String> {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("read the release")?;
    let date = Step::new("date").args(["-u", "+%Y-%m-%d"]).output()?;
    Ok(format!(
        "{}{}, {} CPUs, Linux {}, {}",
        cpu_model(&cpu_info).unwrap_or("unknown CPU"),
        if cpu_info.contains(" hypervisor") {
            " (virtual machine)"
        } else {
            ""
        },
        cpus()?,
        release.trim(),
        date.trim(),
    ))
}

/// CPUs that this process may use.
pub(crate) fn cpus() -> anyhow::Result<usize> {
    Ok(thread::available_parallelism().context("count CPUs")?.get())
}

/// The field `model name`.
fn cpu_model(cpu_info: &str) -> Option<&str> {
    let line = cpu_info
        .lines()
        .find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_name, model)| model.trim())
}

#[cfg(test)]
mod tests {
    use super::cpu_model;

    #[test]
    fn the_model_is_what_follows_the_colon() {
        let text = "processor\t: 0\nmodel name\t: Fast: 2\nflags\t: fpu\n";
        assert_eq!(cpu_model(text), Some("Fast: 2"));
        assert_eq!(cpu_model("processor\t: 0\n"), None);
    }
}
