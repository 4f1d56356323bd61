//! Time to the first complete stack of a program that was never seen before.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use super::{measure::quantile, product::Product, table::Table};

/// The build id that the program is linked with.
const BUILD_ID: &[u8; 16] = b"never-seen-befor";
/// Samples a second: one is about a millisecond of the program's time.
const HZ: u32 = 997;
/// How long the program works.
const SECONDS: u32 = 2;
/// New programs; each runs twice.
const ROUNDS: usize = 5;

/// Runs programs that the profiler cannot know, each a second time.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let program = new_program(product)?;
        new.push(incomplete_ms(product, &program)?);
        known.push(incomplete_ms(product, &program)?);
    }
    let columns = ["program", "median ms", "worst ms", "promise"];
    let mut table = Table::new("start", "cargo xtask bench start", &columns);
    for (name, values, limit) in [("new", &new, 200.0), ("table on disk", &known, 20.0)] {
        let worst = quantile(values, 1.0);
        let promise = if worst <= limit { "kept" } else { "broken" };
        table.row([
            name.to_owned(),
            format!("{:.0}", quantile(values, 0.5)),
            format!("{worst:.0}"),
            format!("≤ {limit:.0}: {promise}"),
        ]);
    }
    table.note(format!(
        "A program with 10 MB of code, started by `profiler record -F {HZ}`: CPU time it spent before its \
         stacks were complete, counted in samples whose stack was cut. It never waits. {ROUNDS} programs \
         with a new build id each, run twice."
    ));
    Ok(table)
}

/// A copy of the program with a build id that nobody has seen.
fn new_program(product: &Product<'_>) -> anyhow::Result<PathBuf> {
    let original = product.programs().big()?;
    let mut bytes = fs::read(&original).context("read the program")?;
    let place = bytes
        .windows(BUILD_ID.len())
        .position(|window| window == BUILD_ID);
    let place = place.context("find the build id")?;
    let id = bytes
        .get_mut(place..place + BUILD_ID.len())
        .context("find the build id")?;
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(id))
        .context("a build id")?;
    let path = product.file("never-seen");
    // The copy brings the right to be run.
    fs::copy(&original, &path).context("copy the program")?;
    fs::write(&path, bytes).context("write the program")?;
    Ok(path)
}

/// The program's time before its stacks were complete, in milliseconds.
fn incomplete_ms(product: &Product<'_>, program: &Path) -> anyhow::Result<f64> {
    let output = product.file("start.collapsed");
    let step = product
        .step(Duration::from_secs(SECONDS.into()))?
        .args(["-F", &HZ.to_string(), "--no-inlines", "-o"])
        .args([&output])
        .args([
            "--".as_ref(),
            program.as_os_str(),
            SECONDS.to_string().as_ref(),
        ]);
    product.run(step)?;
    let text = fs::read_to_string(&output).context("read the stacks")?;
    let (cut, all) = cut_samples(&text, "never-seen");
    ensure!(cut < all, "none of {all} stacks is complete");
    #[expect(
        clippy::cast_precision_loss,
        reason = "samples of seconds are below 2^52"
    )]
    let cut = cut as f64;
    Ok(cut * 1000.0 / f64::from(HZ))
}

/// Samples of a thread whose stack was cut, and all of them.
fn cut_samples(collapsed: &str, comm: &str) -> (u64, u64) {
    let (mut cut, mut all) = (0, 0);
    for line in collapsed.lines() {
        let Some((stack, count)) = line.rsplit_once(' ') else {
            continue;
        };
        let (name, frames) = stack.split_once(';').unwrap_or((stack, ""));
        let count: u64 = count.parse().unwrap_or(0);
        if name == comm {
            all += count;
            if frames.starts_with("[truncated]") {
                cut += count;
            }
        }
    }
    (cut, all)
}

#[cfg(test)]
mod tests {
    use super::cut_samples;

    #[test]
    fn only_cut_stacks_of_the_program_count() {
        let text = "a;main;f 5\na;[truncated];f 2\nb;[truncated];f 9\n";
        assert_eq!(cut_samples(text, "a"), (2, 7));
    }
}
