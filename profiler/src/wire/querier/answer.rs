//! What is answered.

use prost::Message;
use serde::Serialize;

use super::json;

/// Kinds of profile.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileKinds {
    /// Each kind once.
    #[prost(message, repeated, tag = "1")]
    pub profile_types: Vec<ProfileKind>,
}

/// A kind of profile.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileKind {
    /// The other fields with colons between them.
    #[prost(string, tag = "1")]
    #[serde(rename = "ID")]
    pub id: String,
    /// Signal.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Kind of value.
    #[prost(string, tag = "4")]
    pub sample_type: String,
    /// Its unit.
    #[prost(string, tag = "5")]
    pub sample_unit: String,
    /// What makes a sample due.
    #[prost(string, tag = "6")]
    pub period_type: String,
    /// Its unit.
    #[prost(string, tag = "7")]
    pub period_unit: String,
}

/// Names of labels, or values of one.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Names {
    /// In order.
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
}

/// Sets of labels.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeriesAnswer {
    /// Each set once.
    #[prost(message, repeated, tag = "2")]
    pub labels_set: Vec<LabelSet>,
}

/// A set of labels.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSet {
    /// In order of name.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
}

/// A label.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A flame graph.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlameGraphAnswer {
    /// Missing when nothing was selected.
    #[prost(message, optional, tag = "1")]
    pub flamegraph: Option<FlameGraph>,
}

/// A tree by levels.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlameGraph {
    /// Each name once.
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
    /// Root first.
    #[prost(message, repeated, tag = "2")]
    pub levels: Vec<Level>,
    /// Of the root.
    #[prost(int64, tag = "3")]
    #[serde(with = "json::whole")]
    pub total: i64,
    /// The largest weight that a node has by itself.
    #[prost(int64, tag = "4")]
    #[serde(with = "json::whole")]
    pub max_self: i64,
}

/// One level of a tree: for each node the gap to the one on its left, its total, its own weight and
/// the index of its name. With two trees the first three stand twice.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// The numbers.
    #[prost(int64, repeated, tag = "1")]
    #[serde(serialize_with = "json::serialize_list")]
    pub values: Vec<i64>,
}

/// Two trees compared.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffAnswer {
    /// The trees.
    #[prost(message, optional, tag = "1")]
    pub flamegraph: Option<FlameGraphDiff>,
}

/// Two trees by levels.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlameGraphDiff {
    /// Each name once.
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
    /// Root first.
    #[prost(message, repeated, tag = "2")]
    pub levels: Vec<Level>,
    /// Of both roots.
    #[prost(int64, tag = "3")]
    #[serde(with = "json::whole")]
    pub total: i64,
    /// The largest weight that a node has by itself.
    #[prost(int64, tag = "4")]
    #[serde(with = "json::whole")]
    pub max_self: i64,
    /// Of the root before.
    #[prost(int64, tag = "5")]
    #[serde(with = "json::whole")]
    pub left_ticks: i64,
    /// Of the root after.
    #[prost(int64, tag = "6")]
    #[serde(with = "json::whole")]
    pub right_ticks: i64,
}

/// How totals go over time.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrendAnswer {
    /// A line for each group.
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<Line>,
}

/// How one total goes over time.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What its group has in common.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// In order of time.
    #[prost(message, repeated, tag = "2")]
    pub points: Vec<Point>,
}

/// One step.
#[derive(Clone, Message, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Total of the step.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Start of the step in milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    #[serde(with = "json::whole")]
    pub timestamp: i64,
}
