//! Attributes as labels.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    profiles::v1development::ProfilesDictionary,
};

use super::ProfileError;
use crate::model::label;

/// Attributes whose labels have a name of ours.
const NAMES: [(&str, &str); 8] = [
    ("service.name", label::SERVICE),
    ("host.name", label::HOST),
    ("container.id", label::CONTAINER),
    ("process.pid", label::PID),
    ("process.executable.name", label::COMM),
    ("process.executable.path", label::EXE),
    ("thread.name", label::THREAD),
    ("k8s.pod.uid", "pod_uid"),
];

/// Attribute that says what a frame is.
pub(super) const FRAME_TYPE: &str = "profile.frame.type";

/// Attribute with the build id of a file.
pub(super) const BUILD_ID: &str = "process.executable.build_id.gnu";

/// The name of a label for the name of an attribute.
pub(super) fn label_name(attribute: &str) -> String {
    let known = NAMES.iter().find(|(name, _)| *name == attribute);
    known.map_or_else(
        || attribute.replace(|c: char| !c.is_ascii_alphanumeric(), "_"),
        |(_, label)| (*label).to_owned(),
    )
}

/// A string of the dictionary.
pub(super) fn string(dictionary: &ProfilesDictionary, index: i32) -> Result<&str, ProfileError> {
    let table = "strings";
    entry(&dictionary.string_table, table, index).map(String::as_str)
}

/// An entry of a table of the dictionary.
pub(super) fn entry<'a, T>(
    entries: &'a [T],
    table: &'static str,
    index: i32,
) -> Result<&'a T, ProfileError> {
    let place = usize::try_from(index).ok();
    place
        .and_then(|place| entries.get(place))
        .ok_or(ProfileError::Dangling { table, index })
}

/// An attribute of the dictionary's table: its name and value.
pub(super) fn attribute(
    dictionary: &ProfilesDictionary,
    index: i32,
) -> Result<(&str, String), ProfileError> {
    let attribute = entry(&dictionary.attribute_table, "attributes", index)?;
    let name = string(dictionary, attribute.key_strindex)?;
    let value = text(dictionary, attribute.value.as_ref())?;
    Ok((name, value))
}

/// An attribute of a resource: its name and value.
pub(super) fn resource_attribute<'a>(
    dictionary: &'a ProfilesDictionary,
    attribute: &'a KeyValue,
) -> Result<(&'a str, String), ProfileError> {
    let name = if attribute.key.is_empty() {
        string(dictionary, attribute.key_strindex)?
    } else {
        &attribute.key
    };
    Ok((name, text(dictionary, attribute.value.as_ref())?))
}

/// A value as text; empty for lists and the like.
fn text(dictionary: &ProfilesDictionary, value: Option<&AnyValue>) -> Result<String, ProfileError> {
    Ok(match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::StringValueStrindex(index)) => string(dictionary, *index)?.to_owned(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::ArrayValue(_) | Value::KvlistValue(_) | Value::BytesValue(_)) | None => {
            String::new()
        }
    })
}
