//! Questions and answers.
//!
//! Job: answer what people and programs ask of what was stored. In: questions as values, or over
//! gRPC. Out: trees, tables, trends, files. **Invariant:** every answer is bounded, says how good
//! its data is, and its totals are those of the data, whatever was cut off.
//!
//! Read in this order: a [`Question`] becomes a selection, the [`Reader`] reads it from the store,
//! and each question is one plain function over it.

mod cache;
mod error;
mod examine;
mod export;
mod flame_graph;
mod function;
mod grpc;
mod labels;
pub mod limits;
mod names;
mod place;
mod quality;
mod question;
mod reader;
mod selector;
mod series;
mod stacks;
mod tables;
mod top;
mod tree;

pub use self::{
    cache::CacheStats,
    error::QueryError,
    examine::{
        Ask, Baseline, Bottlenecks, Checked, Compared, Guide, Ledger, LedgerPart, LedgerRow,
        Regressions, Wanted, bottlenecks, check, check_limit, ledger, regressions, window_of,
    },
    export::{export, profile},
    flame_graph::{Diff, FlameGraph, diff, flame_graph},
    function::{FunctionFacts, LineShare, Share, SignalOfFunction, function},
    grpc::{
        Answers, Gate, check_response, regressions_response, server, severity, status, verdict,
    },
    labels::{SignalTypes, Values, names, signals, values},
    names::{NamedStack, NamedStacks},
    place::Place,
    question::{Question, range},
    reader::Reader,
    selector::{Found, SelectorError, SelectorProblem, parse_selector},
    series::{Trend, trend},
    tables::{
        CallRow, Calls, HeapRow, LeakRow, Leaks, MemoryPlace, MemoryRows, Table, TableAsk, TcpRow,
        TcpTimes, heap, leaks, syscalls, tcp,
    },
    top::{By, Row, Top, top},
    tree::{Level, Node, Tree},
};

#[cfg(test)]
mod tests;
