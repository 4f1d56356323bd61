//! House rules for one Rust file: how it starts, how long it is, which words it holds.

use std::path::Path;

use syn::visit::Visit;

use super::Finding;

/// Longest file, in lines without tests. Past it a file is two files.
const LINES_MAX: usize = 700;

/// Files that were longer on the day of the rule. Only ever shrinks.
const LINES_RATCHET: &[&str] = &[];

/// Names that say nothing about what a module holds.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// Files and folders where `unsafe` may stand: shared memory, system calls without a safe face,
/// the kernel side, and programs that are there to be watched.
const UNSAFE_HOMES: &[&str] = &[
    "profiler-ebpf/src/",
    "profiler/src/clock/",
    "profiler/src/host/command.rs",
    "profiler/src/host/probe/abi.rs",
    "profiler/src/host/probe/sys.rs",
    "profiler/src/host/ring/mmap.rs",
    "tests/workloads/",
];

/// Checks what can be seen in the text.
pub(super) fn check_text(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.trim_start().starts_with("//!") {
        findings.push(Finding::new(
            format_args!("{}:1", file.display()),
            "starts without a `//!` comment; say what the file holds",
        ));
    }
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .count();
    if lines > LINES_MAX && !LINES_RATCHET.iter().any(|path| Path::new(path) == file) {
        findings.push(Finding::new(
            file.display(),
            format!("{lines} lines without tests, at most {LINES_MAX}; split it"),
        ));
    }
    findings.extend(check_name(file));
    findings.extend(check_words(file, text));
    findings
}

/// Checks that each part of the path says something.
fn check_name(file: &Path) -> Option<Finding> {
    let stem = file.with_extension("");
    let name = stem
        .iter()
        .filter_map(|part| part.to_str())
        .find(|part| EMPTY_NAMES.contains(part))?;
    Some(Finding::new(
        file.display(),
        format!("`{name}` says nothing; name it after what it holds"),
    ))
}

/// Checks for notes to self that were left behind.
fn check_words(file: &Path, text: &str) -> Vec<Finding> {
    // Spelled in two parts, so that this file does not find itself.
    let todo = concat!("TO", "DO");
    let leftovers = [
        (concat!("FIX", "ME"), "fix it or open an issue"),
        (concat!("dbg", "!("), "remove it"),
    ];
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{}:{}", file.display(), index + 1);
        for (word, advice) in leftovers {
            if line.contains(word) {
                findings.push(Finding::new(&place, format!("{word}: {advice}")));
            }
        }
        let bare = line
            .split(todo)
            .skip(1)
            .any(|after| !after.starts_with("(#"));
        if bare {
            let what = format!("{todo} without an issue; write {todo}(#123)");
            findings.push(Finding::new(&place, what));
        }
    }
    findings
}

/// Checks what takes a parser to see.
pub(super) fn check_syntax(file: &Path, syntax: &syn::File) -> Vec<Finding> {
    let mut seen = Seen {
        findings: Vec::new(),
        file,
        unsafe_allowed: UNSAFE_HOMES.iter().any(|home| {
            let path = file.to_string_lossy();
            path == *home || (home.ends_with('/') && path.starts_with(home))
        }),
    };
    seen.visit_file(syntax);
    seen.findings
}

/// Collects findings along the syntax tree.
struct Seen<'a> {
    findings: Vec<Finding>,
    file: &'a Path,
    unsafe_allowed: bool,
}

impl Seen<'_> {
    fn report(&mut self, span_of: &impl syn::spanned::Spanned, what: impl Into<String>) {
        let line = span_of.span().start().line;
        let place = format!("{}:{line}", self.file.display());
        self.findings.push(Finding::new(place, what));
    }

    fn report_unsafe(&mut self, span_of: &impl syn::spanned::Spanned) {
        if !self.unsafe_allowed {
            self.report(
                span_of,
                "`unsafe` outside its listed homes (tidy/source.rs); go through one of them",
            );
        }
    }
}

impl<'ast> Visit<'ast> for Seen<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let is_test = (item.attrs.iter()).any(|attribute| attribute.path().is_ident("test"));
        let name = item.sig.ident.to_string();
        if is_test && name.starts_with("test_") {
            let what = format!("`{name}`: a test's name is a sentence about behaviour");
            self.report(&item.sig.ident, what);
        }
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = item.ident.to_string();
        if EMPTY_NAMES.contains(&name.as_str()) {
            self.report(
                &item.ident,
                format!("`{name}` says nothing; name it after what it holds"),
            );
        }
        syn::visit::visit_item_mod(self, item);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let has_unsafe = call
            .tokens
            .to_string()
            .split_whitespace()
            .any(|word| word == "unsafe");
        if has_unsafe {
            self.report_unsafe(call);
        }
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.report_unsafe(block);
        syn::visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if signature.unsafety.is_some() {
            self.report_unsafe(signature);
        }
        syn::visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.unsafety.is_some() {
            self.report_unsafe(&item.self_ty);
        }
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.report_unsafe(&item.abi);
        syn::visit::visit_item_foreign_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a file of the given place and text, without its place.
    fn found(file: &str, text: &str) -> Vec<String> {
        let file = Path::new(file);
        let syntax = syn::parse_file(text).unwrap();
        let mut findings = check_text(file, text);
        findings.extend(check_syntax(file, &syntax));
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[track_caller]
    fn refuses(file: &str, text: &str, what: &str) {
        let findings = found(file, text);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains(what), "{findings:?}");
    }

    #[test]
    fn a_file_says_what_it_holds() {
        assert_eq!(found("a/src/lib.rs", "//! All of it.\n"), [""; 0]);
        refuses("a/src/lib.rs", "fn main() {}\n", "without a `//!`");
    }

    #[test]
    fn the_longest_file_passes_and_one_line_more_does_not() {
        let lines = |count: usize| format!("//! Long.\n{}", "\n".repeat(count - 1));
        assert_eq!(found("a/src/long.rs", &lines(LINES_MAX)), [""; 0]);
        refuses("a/src/long.rs", &lines(LINES_MAX + 1), "701 lines");
    }

    #[test]
    fn tests_do_not_count_as_length() {
        let text = format!(
            "//! Short.\n#[cfg(test)]\nmod tests {{}}\n{}",
            "\n".repeat(900)
        );
        assert_eq!(found("a/src/short.rs", &text), [""; 0]);
    }

    #[test]
    fn an_empty_name_is_found() {
        refuses("a/src/utils.rs", "//! Bits.\n", "`utils` says nothing");
        refuses("a/src/helpers/x.rs", "//! Bits.\n", "`helpers`");
        refuses("a/src/x.rs", "//! Bits.\nmod misc {}\n", "`misc`");
        assert_eq!(found("profiler-common/src/lib.rs", "//! ABI.\n"), [""; 0]);
    }

    #[test]
    fn notes_to_self_are_found() {
        let todo = concat!("TO", "DO");
        let text = |note: &str| format!("//! Notes.\n// {note}\n");
        refuses(
            "a/x.rs",
            &text(&format!("{todo}: later")),
            "without an issue",
        );
        refuses("a/x.rs", &text(concat!("FIX", "ME")), "open an issue");
        let known = text(&format!("{todo}(#12): when 5.10 goes"));
        assert_eq!(found("a/x.rs", &known), [""; 0]);
    }

    #[test]
    fn a_test_is_named_after_behaviour() {
        let text = "//! T.\n#[test]\nfn test_it() {}\n";
        refuses("a/x.rs", text, "sentence about behaviour");
    }

    #[test]
    fn unsafe_stays_in_its_homes() {
        for text in [
            "//! U.\nfn f() { unsafe { g() } }\n",
            "//! U.\nunsafe fn f() {}\n",
            "//! U.\nunsafe impl Send for X {}\n",
            "//! U.\nm! { unsafe { g() } }\n",
        ] {
            refuses("profiler/src/host/ring/decode.rs", text, "`unsafe`");
            assert_eq!(found("profiler/src/host/ring/mmap.rs", text), [""; 0]);
            assert_eq!(found("profiler-ebpf/src/task.rs", text), [""; 0]);
        }
    }
}
