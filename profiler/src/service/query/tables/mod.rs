//! Tables of one signal: system calls, TCP connections, the heap, what grows in it.
//!
//! Read in this order: [`TableAsk`] is which rows of what; each table is one plain function from
//! stacks, apart by labels, to rows.

mod ask;
mod heap;
mod leaks;
mod syscalls;
mod tcp;

pub use self::{
    ask::{Table, TableAsk},
    heap::{HeapRow, MemoryRows, Place as MemoryPlace, heap},
    leaks::{LeakRow, Leaks, leaks},
    syscalls::{CallRow, Calls, syscalls},
    tcp::{TcpRow, TcpTimes, tcp},
};
