//! Which stages a file names, in `use` and in paths, held against the table of arrows.

use std::{collections::BTreeSet, path::Path};

use syn::{UseTree, visit::Visit};

use super::{
    Finding,
    arrows::{KERNEL_ABI_USERS, allowed},
    stage::{Place, modules, place, place_of_file},
};

/// Checks the arrows that start in a file.
pub(super) fn check(file: &Path, syntax: &syn::File) -> Vec<Finding> {
    let (Some(own_modules), Some(Place::Stage(own))) = (modules(file), place_of_file(file)) else {
        return Vec::new();
    };
    let Some(allowed) = allowed(&own) else {
        let what = format!("`{own}` is not in the table of arrows.rs; add a row for it");
        return vec![Finding::new(file.display(), what)];
    };
    let mut names = Names {
        modules: own_modules,
        stages: BTreeSet::new(),
        rooms: BTreeSet::new(),
        kernel_abi: false,
    };
    names.visit_file(syntax);
    let mut findings = Vec::new();
    let mut report = |what: String| findings.push(Finding::new(file.display(), what));
    for stage in &names.stages {
        if *stage != own && !allowed.contains(&stage.as_str()) {
            report(format!(
                "{own} -> {stage} is not an arrow; what travels between them is a type of model"
            ));
        }
    }
    for room in &names.rooms {
        report(format!(
            "names `{room}` as a whole; name the stage in it that is meant"
        ));
    }
    if names.kernel_abi && !KERNEL_ABI_USERS.contains(&own.as_str()) {
        report(format!(
            "{own} names profiler_common; only {} may",
            KERNEL_ABI_USERS.join(", ")
        ));
    }
    findings
}

/// What one file names.
struct Names {
    /// The modules around what is being read, from the root of the crate.
    modules: Vec<String>,
    stages: BTreeSet<String>,
    rooms: BTreeSet<String>,
    kernel_abi: bool,
}

impl Names {
    /// Notes one path, segment by segment as written.
    fn note(&mut self, path: &[String]) {
        if path.first().is_some_and(|first| first == "profiler_common") {
            self.kernel_abi = true;
        }
        let Some(absolute) = self.resolve(path) else {
            return;
        };
        match place(&absolute) {
            Place::Stage(stage) => {
                // Names at the root of the crate that are no stages: items of lib.rs.
                if allowed(&stage).is_some() {
                    self.stages.insert(stage);
                }
            }
            Place::Room(room) => {
                self.rooms.insert(room);
            }
            Place::Root => {}
        }
    }

    /// The path from the root of the crate; `None` for one that does not say where it starts.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let mut rest = path;
        let mut absolute = match rest.split_first() {
            Some((first, after)) if first == "crate" => {
                rest = after;
                Vec::new()
            }
            Some((first, after)) if first == "self" => {
                rest = after;
                self.modules.clone()
            }
            Some((first, _)) if first == "super" => self.modules.clone(),
            _ => return None,
        };
        while let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == "super") {
            absolute.pop();
            rest = after;
        }
        absolute.extend(rest.iter().cloned());
        Some(absolute)
    }

    /// Notes every leaf of a `use`.
    fn note_use(&mut self, tree: &UseTree, path: &mut Vec<String>) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.note_use(&step.tree, path);
                path.pop();
            }
            UseTree::Name(leaf) => self.note_leaf(&leaf.ident, path),
            UseTree::Rename(leaf) => self.note_leaf(&leaf.ident, path),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(tree, path);
                }
            }
            UseTree::Glob(_) => self.note(path),
        }
    }

    /// Notes a leaf; `self` in a group means the path before it.
    fn note_leaf(&mut self, leaf: &syn::Ident, path: &mut Vec<String>) {
        if leaf == "self" {
            self.note(path);
        } else {
            path.push(leaf.to_string());
            self.note(path);
            path.pop();
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.modules.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.modules.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_use(&item.tree, &mut Vec::new());
    }

    /// `pub(crate)` and `pub(in …)` name no stage.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.note(&segments);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        for path in paths_in_tokens(&call.tokens.to_string()) {
            self.note(&path);
        }
    }
}

/// The paths of two segments and more in the tokens of a macro call, which no parser understands.
fn paths_in_tokens(tokens: &str) -> Vec<Vec<String>> {
    let words: Vec<&str> = tokens
        .split(|c: char| c.is_whitespace() || "(){}[],;&*".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let text = words.join(" ").replace(" :: ", "::").replace(" ::", "::");
    text.replace(":: ", "::")
        .split(' ')
        .filter(|word| word.contains("::") && !word.contains('"'))
        .map(|word| word.split("::").map(str::to_owned).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a file of the given place and text.
    fn found(file: &str, text: &str) -> Vec<String> {
        let syntax = syn::parse_file(text).unwrap();
        check(Path::new(file), &syntax)
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    const AGGREGATE: &str = "profiler/src/host/aggregate/window.rs";

    #[track_caller]
    fn refuses(text: &str, arrow: &str) {
        let findings = found(AGGREGATE, text);
        assert!(
            findings.iter().any(|what| what.starts_with(arrow)),
            "{findings:?}"
        );
    }

    #[test]
    fn an_arrow_of_the_table_passes() {
        let text = "use crate::model::{Sample, Stack}; use super::error::AggregateError;";
        assert_eq!(found(AGGREGATE, text), [""; 0]);
    }

    #[test]
    fn a_use_against_the_arrows_is_found_however_written() {
        let arrow = "aggregate -> ring ";
        refuses("use crate::host::ring::Record;", arrow);
        refuses("use crate::{model::Pid, host::{ring::Record}};", arrow);
        refuses("use crate::host::ring as r;", arrow);
        refuses("use crate::host::{ring::{self}};", arrow);
        refuses("use super::super::ring::Record;", arrow);
        refuses(
            "mod tests { use super::super::super::ring::Record; }",
            arrow,
        );
    }

    #[test]
    fn a_path_against_the_arrows_is_found() {
        let arrow = "aggregate -> ring ";
        refuses("fn f() { crate::host::ring::decode(); }", arrow);
        refuses(
            "fn f(x: u8) { assert_eq!(crate::host::ring::decode(x), 1); }",
            arrow,
        );
    }

    #[test]
    fn a_room_as_a_whole_is_found() {
        refuses("use crate::host;", "names `host` as a whole");
        refuses("use crate::host::*;", "names `host` as a whole");
        refuses("use crate::cli::args;", "aggregate -> cli ");
    }

    #[test]
    fn the_kernel_abi_stops_at_its_stages() {
        let text = "use profiler_common::sample::Header;";
        assert_eq!(found("profiler/src/host/ring/decode.rs", text), [""; 0]);
        refuses(text, "aggregate names profiler_common");
    }

    #[test]
    fn a_stage_without_a_row_is_found() {
        let findings = found("profiler/src/host/weather/mod.rs", "");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("`weather` is not in the table"));
    }

    #[test]
    fn visibility_names_no_stage() {
        assert_eq!(found(AGGREGATE, "pub(crate) fn f() {}"), [""; 0]);
    }
}
