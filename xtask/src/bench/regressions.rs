//! How surely a function that became slower is found between two recordings of a program, and how
//! often one is found where nothing changed.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{machine::cpus, measure, product::Product, programs::build_c, table::Table};
use crate::command::Step;

/// Pairs of recordings.
const PAIRS: usize = 20;
/// Length of a recording, which has as many samples as one of five minutes at a tenth of the rate.
const SECONDS: u64 = 30;
/// Samples a second and CPU.
const RATE_HZ: u32 = 1_999;
/// What the function costs of a hundred, before and after.
const COSTS: [&str; 2] = ["5.0", "5.5"];
/// The function.
const FUNCTION: &str = "changed";
/// Pause between two recordings, longer than a window.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest time until the service answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Time between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(200);
/// Until the last windows have arrived.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What the product says of two spans of time.
#[derive(Debug, Deserialize)]
struct Answer {
    slower: Vec<Slower>,
    before_samples: f64,
}

/// A function that became slower.
#[derive(Debug, Deserialize)]
struct Slower {
    place: Place,
}

/// What it is called.
#[derive(Debug, Deserialize)]
struct Place {
    function: String,
}

/// Daemon and service, ended when dropped.
struct Up {
    child: Child,
    url: String,
}

impl Up {
    /// Starts them in a folder.
    fn start(product: &Product<'_>, data: &Path) -> anyhow::Result<Self> {
        let log = product.file("up.log");
        let output = fs::File::create(&log).context("create the log")?;
        let child = Command::new(product.path())
            .args(["up", "--listen", "127.0.0.1:0", "--max-overhead", "off"])
            .args(["--window", "1", "-F", &RATE_HZ.to_string(), "--data"])
            .arg(data)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log")?)
            .stderr(output)
            .spawn()
            .context("start profiler up")?;
        let mut up = Self {
            child,
            url: String::new(),
        };
        let begun = measure::now();
        while up.url.is_empty() {
            ensure!(
                begun.elapsed() < START_LIMIT,
                "no service: see {}",
                log.display()
            );
            pause(LOOK);
            let text = fs::read_to_string(&log).unwrap_or_default();
            let url = (text.split_whitespace()).find(|word| word.starts_with("http://127."));
            let url = url.unwrap_or_default().trim_end_matches(',');
            url.clone_into(&mut up.url);
        }
        Ok(up)
    }

    /// Compares a recording with an earlier one, both told by the second they began in.
    fn compare(&self, product: &Product<'_>, before: u64, after: u64) -> anyhow::Result<Answer> {
        let [from, to] = [after + 1, after + SECONDS - 1].map(|second| second.to_string());
        let offset = format!("{}s", after - before);
        let text = Step::new(&product.path().to_string_lossy())
            .args([
                "query",
                "regressions",
                r#"{comm="versions"}"#,
                "--server",
                &self.url,
            ])
            .args(["--from", &from, "--to", &to, "--offset", &offset, "--json"])
            .output()?;
        serde_json::from_str(&text).context("read the comparison")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        Step::new("kill").args(["-TERM", &pid]).succeeds();
        drop(self.child.wait());
    }
}

/// Records and compares.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let program = build_c(&product.programs(), "versions", &["versions.c"], &[])?;
    let data = product.file("regressions");
    drop(fs::remove_dir_all(&data));
    let up = Up::start(product, &data)?;
    let mut recordings: Vec<[u64; 2]> = Vec::new();
    for pair in 1..=PAIRS {
        let [before, after] = COSTS;
        recordings.push([load(&program, before)?, load(&program, after)?]);
        println!("{pair} of {PAIRS} pairs recorded");
    }
    pause(ARRIVAL);
    let (mut found, mut besides, mut samples) = (0, 0, 0.0);
    for [before, after] in &recordings {
        let answer = up.compare(product, *before, *after)?;
        let is_it = |slower: &&Slower| slower.place.function == FUNCTION;
        let hits = answer.slower.iter().filter(is_it).count();
        found += hits;
        besides += usize::from(hits < answer.slower.len());
        samples += answer.before_samples;
    }
    let mut wrong = 0;
    let earlier = recordings.iter().map(|[before, _after]| before);
    for (before, after) in earlier.clone().zip(earlier.skip(1)) {
        let answer = up.compare(product, *before, *after)?;
        wrong += usize::from(!answer.slower.is_empty());
    }
    drop(up);
    drop(fs::remove_dir_all(&data));
    Ok(table(found, besides, wrong, samples))
}

/// Runs the program on every CPU for the time of a recording; gives the second it began in.
fn load(program: &Path, cost: &str) -> anyhow::Result<u64> {
    pause(PAUSE);
    let begun = unix_seconds()?;
    let seconds = SECONDS.to_string();
    let start = |_cpu| {
        let child = Command::new(program).args([&seconds, cost]).spawn();
        child.with_context(|| format!("start {}", program.display()))
    };
    let children: Vec<Child> = (0..cpus()?).map(start).collect::<Result<_, _>>()?;
    for mut child in children {
        ensure!(child.wait()?.success(), "the load failed");
    }
    Ok(begun)
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "recordings have a length")]
fn pause(length: Duration) {
    thread::sleep(length);
}

/// The time, as the product is asked for it.
#[expect(clippy::disallowed_types, reason = "this program has no other clock")]
fn unix_seconds() -> anyhow::Result<u64> {
    use std::time::{SystemTime, UNIX_EPOCH};
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// The figures.
#[expect(clippy::cast_precision_loss, reason = "a few pairs")]
fn table(found: usize, besides: usize, wrong: usize, samples: f64) -> Table {
    let heads = ["two recordings", "pairs", "as it is", "promise"];
    let mut table = Table::new("regressions", "cargo xtask bench regressions", &heads);
    let nulls = PAIRS - 1;
    let verdict = |is_kept: bool| if is_kept { "kept" } else { "broken" };
    table.row([
        "a function of 5 % takes a tenth more: found".to_owned(),
        PAIRS.to_string(),
        found.to_string(),
        format!("≥ 19: {}", verdict(PAIRS - 1 <= found)),
    ]);
    table.row([
        "the same: another one is called slower".to_owned(),
        PAIRS.to_string(),
        besides.to_string(),
        format!("≤ 1: {}", verdict(besides <= 1)),
    ]);
    table.row([
        "nothing changed: one is called slower".to_owned(),
        nulls.to_string(),
        wrong.to_string(),
        format!("≤ 1: {}", verdict(wrong <= 1)),
    ]);
    table.note(format!(
        "`profiler up` with windows of a second at {RATE_HZ} samples a second and CPU, and sixty-one \
         functions of `versions.c` on every CPU: recordings of {SECONDS} s have {:.0} samples in the \
         mean, as many as recordings of five minutes at a tenth of the rate. Asked with `profiler query regressions \
         --offset`, all settings as they come.",
        samples / PAIRS as f64,
    ));
    table
}
