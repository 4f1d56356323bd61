//! What is asked. Times are milliseconds since the Unix epoch; zero is left out.

use prost::Message;
use serde::Deserialize;

use super::json;

/// Which kinds of profile there are.
#[derive(Clone, Deserialize, Message, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct AskKinds {
    /// From here.
    #[prost(int64, tag = "1")]
    #[serde(with = "json::whole")]
    pub start: i64,
    /// To here.
    #[prost(int64, tag = "2")]
    #[serde(with = "json::whole")]
    pub end: i64,
}

/// Which names of labels there are.
#[derive(Clone, Deserialize, Message, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct AskNames {
    /// Selectors; what any of them selects counts.
    #[prost(string, repeated, tag = "1")]
    pub matchers: Vec<String>,
    /// From here.
    #[prost(int64, tag = "2")]
    #[serde(with = "json::whole")]
    pub start: i64,
    /// To here.
    #[prost(int64, tag = "3")]
    #[serde(with = "json::whole")]
    pub end: i64,
}

/// Which values a label has.
#[derive(Clone, Deserialize, Message, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct AskValues {
    /// The label.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Selectors; what any of them selects counts.
    #[prost(string, repeated, tag = "2")]
    pub matchers: Vec<String>,
    /// From here.
    #[prost(int64, tag = "3")]
    #[serde(with = "json::whole")]
    pub start: i64,
    /// To here.
    #[prost(int64, tag = "4")]
    #[serde(with = "json::whole")]
    pub end: i64,
}

/// Which sets of labels there are.
#[derive(Clone, Deserialize, Message, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct AskSeries {
    /// Selectors; what any of them selects counts.
    #[prost(string, repeated, tag = "1")]
    pub matchers: Vec<String>,
    /// Only these labels; all when empty.
    #[prost(string, repeated, tag = "2")]
    pub label_names: Vec<String>,
    /// From here.
    #[prost(int64, tag = "3")]
    #[serde(with = "json::whole")]
    pub start: i64,
    /// To here.
    #[prost(int64, tag = "4")]
    #[serde(with = "json::whole")]
    pub end: i64,
}

/// The merged stacks of a selection: as a flame graph, or as a pprof file.
#[derive(Clone, Deserialize, Message, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct AskMerged {
    /// Kind of profile.
    #[prost(string, tag = "1")]
    #[serde(rename = "profileTypeID", alias = "profile_typeID")]
    pub profile_type_id: String,
    /// Selector.
    #[prost(string, tag = "2")]
    pub label_selector: String,
    /// From here.
    #[prost(int64, tag = "3")]
    #[serde(with = "json::whole")]
    pub start: i64,
    /// To here.
    #[prost(int64, tag = "4")]
    #[serde(with = "json::whole")]
    pub end: i64,
    /// Most nodes.
    #[prost(int64, optional, tag = "5")]
    #[serde(deserialize_with = "json::optional::deserialize")]
    pub max_nodes: Option<i64>,
}

/// Two selections compared.
#[derive(Clone, Deserialize, Message, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct AskDiff {
    /// Before.
    #[prost(message, optional, tag = "1")]
    pub left: Option<AskMerged>,
    /// After.
    #[prost(message, optional, tag = "2")]
    pub right: Option<AskMerged>,
}

/// How a total goes over time.
#[derive(Clone, Deserialize, Message, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct AskTrend {
    /// Kind of profile.
    #[prost(string, tag = "1")]
    #[serde(rename = "profileTypeID", alias = "profile_typeID")]
    pub profile_type_id: String,
    /// Selector.
    #[prost(string, tag = "2")]
    pub label_selector: String,
    /// From here.
    #[prost(int64, tag = "3")]
    #[serde(with = "json::whole")]
    pub start: i64,
    /// To here.
    #[prost(int64, tag = "4")]
    #[serde(with = "json::whole")]
    pub end: i64,
    /// A line for each combination of values of these labels.
    #[prost(string, repeated, tag = "5")]
    pub group_by: Vec<String>,
    /// Length of a step in seconds.
    #[prost(double, tag = "6")]
    pub step: f64,
    /// Only so many lines, heaviest first.
    #[prost(int64, optional, tag = "9")]
    #[serde(deserialize_with = "json::optional::deserialize")]
    pub limit: Option<i64>,
}
