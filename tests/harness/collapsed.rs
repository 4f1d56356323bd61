//! Collapsed output read back: stacks with weights, and the shares that tests ask for.

use anyhow::Context as _;

/// The frame that stands for the missing part of a stack that was cut.
pub const TRUNCATED: &str = "[truncated]";

/// One line: a thread's name, frames from the root to the leaf, a weight.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoldedStack {
    /// Name of the thread.
    pub comm: String,
    /// Root first, as written.
    pub frames: Vec<String>,
    /// Samples, for CPU.
    pub weight: u64,
}

/// All lines of one collapsed output, or a selection of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Collapsed {
    /// The lines, as written.
    pub stacks: Vec<FoldedStack>,
}

/// What a person calls the function of a frame: without the mark of its kind, the parameters, the
/// namespaces, the hash that Rust appends and V8's mark of the compiler.
pub fn plain_name(frame: &str) -> &str {
    let frame = ["_[k]", "_[i]", "_[j]"]
        .iter()
        .find_map(|mark| frame.strip_suffix(mark))
        .unwrap_or(frame);
    if let Some(script) = frame.strip_prefix("JS:") {
        let script = script.trim_start_matches(['*', '~', '^', '+', '\'']);
        return script.split(' ').next().unwrap_or(script);
    }
    let without_parameters = match frame.find('(') {
        Some(open) if open > 0 => frame.get(..open).unwrap_or(frame),
        Some(_) | None => frame,
    };
    let mut parts = without_parameters.rsplit("::");
    let last = parts.next().unwrap_or(frame);
    if is_rust_hash(last) {
        parts.next().unwrap_or(last)
    } else {
        last
    }
}

/// Whether this is the `h0123456789abcdef` at the end of a Rust symbol.
fn is_rust_hash(part: &str) -> bool {
    part.len() == 17
        && part
            .strip_prefix('h')
            .is_some_and(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()))
}

impl FoldedStack {
    /// Reads one line; `None` if it has no weight.
    fn parse(line: &str) -> Option<Self> {
        let (stack, weight) = line.rsplit_once(' ')?;
        let mut names = stack.split(';').map(str::to_owned);
        Some(Self {
            comm: names.next()?,
            frames: names.collect(),
            weight: weight.parse().ok()?,
        })
    }

    /// How many frames are of this function.
    pub fn count(&self, function: &str) -> usize {
        let names = self.frames.iter().map(|frame| plain_name(frame));
        names.filter(|name| *name == function).count()
    }

    /// Whether the functions of `chain` follow each other without a gap.
    pub fn holds(&self, chain: &[&str]) -> bool {
        let names: Vec<&str> = self.frames.iter().map(|frame| plain_name(frame)).collect();
        names.windows(chain.len()).any(|window| window == chain)
    }

    /// Whether the stack says that its root side is missing.
    pub fn is_truncated(&self) -> bool {
        self.frames.first().is_some_and(|frame| frame == TRUNCATED)
    }

    /// The innermost frame that is not the kernel's.
    pub fn user_leaf(&self) -> Option<&str> {
        let user = |frame: &&String| !frame.ends_with("_[k]");
        self.frames.iter().rfind(user).map(String::as_str)
    }
}

impl Collapsed {
    /// Reads collapsed output.
    ///
    /// # Errors
    /// The first line that is not a stack with a weight. Empty lines are skipped.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty());
        let stacks = lines.map(|(index, line)| {
            FoldedStack::parse(line)
                .with_context(|| format!("line {} is not a collapsed stack: {line}", index + 1))
        });
        Ok(Self {
            stacks: stacks.collect::<anyhow::Result<_>>()?,
        })
    }

    /// The stacks that pass.
    #[must_use]
    pub fn select(&self, pass: impl Fn(&FoldedStack) -> bool) -> Self {
        let stacks = self.stacks.iter().filter(|stack| pass(stack));
        Self {
            stacks: stacks.cloned().collect(),
        }
    }

    /// The stacks of the threads of this name.
    #[must_use]
    pub fn of_comm(&self, comm: &str) -> Self {
        self.select(|stack| stack.comm == comm)
    }

    /// The stacks with this function anywhere in them.
    #[must_use]
    pub fn with(&self, function: &str) -> Self {
        self.select(|stack| stack.count(function) > 0)
    }

    /// Sum of the weights.
    pub fn total(&self) -> u64 {
        self.stacks.iter().map(|stack| stack.weight).sum()
    }

    /// Share of the weight in stacks that pass, 0 to 1; 0 when there is no weight at all.
    pub fn share(&self, pass: impl Fn(&FoldedStack) -> bool) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a test takes less than 2^52 samples"
        )]
        let share = self.select(pass).total() as f64 / self.total().max(1) as f64;
        share
    }

    /// Share of the weight with this function anywhere in the stack.
    pub fn share_total(&self, function: &str) -> f64 {
        self.share(|stack| stack.count(function) > 0)
    }

    /// Share of the weight with this function as the innermost one of the program.
    pub fn share_self(&self, function: &str) -> f64 {
        self.share(|stack| {
            stack
                .user_leaf()
                .is_some_and(|leaf| plain_name(leaf) == function)
        })
    }

    /// Share of the weight in stacks that hold this chain without a gap.
    pub fn share_holding(&self, chain: &[&str]) -> f64 {
        self.share(|stack| stack.holds(chain))
    }

    /// The heaviest lines, for the message of a failed test.
    pub fn heaviest(&self, count: usize) -> String {
        let mut stacks: Vec<&FoldedStack> = self.stacks.iter().collect();
        stacks.sort_by_key(|stack| std::cmp::Reverse(stack.weight));
        let lines = stacks.iter().take(count).map(|stack| {
            let frames = stack.frames.join(";");
            format!("{};{frames} {}\n", stack.comm, stack.weight)
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Collapsed, FoldedStack, plain_name};

    const TEXT: &str = "\
split;main;descend;descend;heavy;spin_[i] 6
split;main;descend;descend;medium;spin_[i];irq_[k] 3
split;[truncated];descend;light 1
other thread;[other+0x12] 2
";

    fn split() -> Collapsed {
        Collapsed::parse(TEXT).unwrap().of_comm("split")
    }

    #[test]
    fn counts_shares_of_functions() {
        assert_eq!(split().total(), 10);
        assert!((split().share_total("heavy") - 0.6).abs() < 1e-9);
        assert!((split().share_self("spin") - 0.9).abs() < 1e-9);
        assert!((split().share_self("light") - 0.1).abs() < 1e-9);
        assert!(split().share_total("irq") > 0.0);
    }

    #[test]
    fn a_chain_has_no_gaps() {
        let chain = ["main", "descend", "descend"];
        assert!((split().share_holding(&chain) - 0.9).abs() < 1e-9);
        assert!(split().share_holding(&["main", "descend", "heavy"]) < 1e-9);
        assert!((split().share(FoldedStack::is_truncated) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_name_may_hold_spaces() {
        let all = Collapsed::parse(TEXT).unwrap();
        assert_eq!(all.of_comm("other thread").total(), 2);
    }

    #[test]
    fn rejects_a_line_without_a_weight() {
        let rejected = Collapsed::parse("a;b 1\n\na;b\n").unwrap_err();
        assert_eq!(rejected.to_string(), "line 3 is not a collapsed stack: a;b");
    }

    #[test]
    fn a_plain_name_is_what_the_source_says() {
        let plain = [
            ("heavy", "heavy"),
            ("spin_[i]", "spin"),
            ("work::Spinner<60ul>::run()", "run"),
            ("work::heavy(work::Leaf&)", "heavy"),
            ("split::descend::ha3a1122a378ae2df", "descend"),
            ("JS:*jsHeavy /tmp/jit.js:9:17_[j]", "jsHeavy"),
            ("(anonymous)", "(anonymous)"),
            ("[libc.so.6+0x1234]", "[libc.so.6+0x1234]"),
        ];
        for (frame, name) in plain {
            assert_eq!(plain_name(frame), name, "{frame}");
        }
    }
}
