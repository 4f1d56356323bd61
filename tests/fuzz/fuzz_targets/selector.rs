//! Any text as a selector: it is understood within bounds, or the error points into it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler::{
    model::MatchKind,
    service::query::{limits::MATCHERS_MAX, parse_selector},
};

fuzz_target!(|text: &str| {
    match parse_selector(text) {
        Ok(matchers) => {
            assert!(matchers.len() <= MATCHERS_MAX);
            assert!(matchers.iter().all(|matcher| !matcher.name.is_empty()));
            // Written down again, it means the same.
            let again: Vec<String> = (matchers.iter())
                .map(|matcher| {
                    let sign = match matcher.kind {
                        MatchKind::Equal => "=",
                        MatchKind::NotEqual => "!=",
                        MatchKind::Regex => "=~",
                        MatchKind::NotRegex => "!~",
                    };
                    format!("{}{sign}{}", quoted(&matcher.name), quoted(&matcher.value))
                })
                .collect();
            let again = format!("{{{}}}", again.join(","));
            if let Ok(same) = parse_selector(&again) {
                assert_eq!(matchers, same, "{again}");
            }
        }
        Err(error) => {
            let length = text.len().min(profiler::service::query::limits::SELECTOR_SIZE_BYTES_MAX);
            assert!(0 < error.column && error.column <= length + 1, "{error}");
        }
    }
});

/// A text in quotes.
fn quoted(text: &str) -> String {
    let escaped: String = (text.chars())
        .map(|c| match c {
            '\\' => "\\\\".to_owned(),
            '"' => "\\\"".to_owned(),
            '\n' => "\\n".to_owned(),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
