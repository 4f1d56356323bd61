//! Attaching what watches TCP connections.

use std::time::Duration;

use aya::{Ebpf, programs::TracePoint};

use super::{
    Probe, ProbeError,
    load::program_mut,
    raw::{Link, attach_raw, load_raw},
};

/// The program without which there is nothing: it sees connections begin and end.
const CHANGE: (&str, &str) = ("tcp_change", "inet_sock_set_state");
/// Programs that each see one thing more, with their tracepoints and what is lost without.
const RAW: [(&str, &str, &str); 3] = [
    ("tcp_sent", "sock_send_length", "bytes sent and first bytes"),
    (
        "tcp_received",
        "sock_recv_length",
        "bytes received and first bytes",
    ),
    ("tcp_retransmit", "tcp_retransmit_skb", "retransmits"),
];
/// A program, the tracepoints that it goes to, and what is lost without.
type AtCalls = (&'static str, &'static [&'static str], &'static str);

/// The same at the end of system calls.
const CALLS: [AtCalls; 2] = [
    (
        "tcp_accept",
        &["sys_exit_accept4", "sys_exit_accept"],
        "waits in accept queues",
    ),
    (
        "tcp_connected",
        &["sys_exit_connect"],
        "stacks that connect",
    ),
];

/// The programs that watch connections, as they loaded.
#[derive(Debug, Default)]
pub(super) struct Tcp {
    raw: Vec<(&'static str, &'static str)>,
    calls: Vec<(&'static str, &'static [&'static str])>,
}

/// Says what is lost without a program that the kernel refused.
fn note(refused: &ProbeError, lost: &str) {
    let error = refused as &dyn std::error::Error;
    tracing::warn!(error, "TCP connections are watched without {lost}");
}

/// Loads what watches connections; nothing is attached yet.
///
/// # Errors
/// What the kernel refused of what is needed most.
pub(super) fn load_tcp(object: &mut Ebpf) -> Result<Tcp, ProbeError> {
    load_raw(object, CHANGE.0)?;
    let mut tcp = Tcp::default();
    for (name, tracepoint, lost) in RAW {
        match load_raw(object, name) {
            Ok(()) => tcp.raw.push((name, tracepoint)),
            Err(refused) => note(&refused, lost),
        }
    }
    for (name, tracepoints, lost) in CALLS {
        let program: &mut TracePoint = program_mut(object, name)?;
        match program.load() {
            Ok(()) => tcp.calls.push((name, tracepoints)),
            Err(source) => note(
                &ProbeError::LoadProgram {
                    program: name,
                    source,
                },
                lost,
            ),
        }
    }
    Ok(tcp)
}

/// Starts watching connections, which the probe was loaded for.
///
/// # Errors
/// What the kernel refused of what is needed most, or that the probe was loaded without it.
pub fn attach_tcp(probe: &mut Probe) -> Result<(), ProbeError> {
    let tcp = (probe.tcp.as_ref()).ok_or(ProbeError::Missing { name: CHANGE.0 })?;
    let mut links = vec![attach_raw(&mut probe.object, CHANGE)?];
    for hook in &tcp.raw {
        match attach_raw(&mut probe.object, *hook) {
            Ok(link) => links.push(link),
            Err(refused) => note(&refused, hook.1),
        }
    }
    for (name, tracepoints) in &tcp.calls {
        let program: &mut TracePoint = program_mut(&mut probe.object, name)?;
        for tracepoint in *tracepoints {
            let link = program.attach("syscalls", tracepoint);
            match link.and_then(|id| program.take_link(id)) {
                Ok(link) => links.push(Link::TracePoint(link)),
                Err(source) => {
                    let program = name;
                    note(&ProbeError::Attach { program, source }, tracepoint);
                }
            }
        }
    }
    // What sees connections begin and end is detached last.
    links.reverse();
    probe.tcp_links = links;
    Ok(())
}

/// Stops watching connections.
pub fn detach_tcp(probe: &mut Probe) {
    probe.tcp_links.clear();
}

impl Probe {
    /// The tracepoints at which connections are watched, for people.
    pub(super) fn tcp_hooks(&self) -> String {
        let Some(tcp) = &self.tcp else {
            return String::new();
        };
        let raw = tcp.raw.iter().map(|(_name, tracepoint)| *tracepoint);
        let calls = tcp
            .calls
            .iter()
            .flat_map(|(_name, tracepoints)| *tracepoints);
        let all: Vec<&str> = [CHANGE.1]
            .into_iter()
            .chain(raw)
            .chain(calls.copied())
            .collect();
        format!("watched at {}", all.join(", "))
    }

    /// Time in and runs of all programs that watch connections so far; `None` where the kernel
    /// cannot tell, or they are not watched.
    pub fn tcp_run_time(&self) -> Option<(Duration, u64)> {
        let tcp = self.tcp.as_ref()?;
        let raw = tcp.raw.iter().map(|(name, _tracepoint)| *name);
        let calls = tcp.calls.iter().map(|(name, _tracepoints)| *name);
        let mut all = (Duration::ZERO, 0_u64);
        for name in raw.chain(calls).chain([CHANGE.0]) {
            let (time, runs) = self.run_time(name)?;
            all.0 += time;
            all.1 += runs;
        }
        Some(all)
    }
}
