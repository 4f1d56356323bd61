//! A command that is profiled from its first instruction.
#![expect(unsafe_code, reason = "a hook between fork and exec")]

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command},
    thread::{self, JoinHandle},
};

use rustix::{
    io::{Errno, read, write},
    pipe::{PipeFlags, pipe_with},
};

use crate::model::Pid;

/// A process that was forked and waits to become the command.
#[derive(Debug)]
pub(super) struct HeldCommand {
    /// The process.
    pub(super) pid: Pid,
    /// A byte in it lets the command run. When this process dies it closes, and the command never
    /// runs.
    gate: OwnedFd,
    /// Starting a process waits for its exec, so that goes on elsewhere.
    starting: JoinHandle<io::Result<Child>>,
}

impl HeldCommand {
    /// Forks a process that waits before it becomes the command.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn start(words: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let (gate_end, gate) = pipe_with(PipeFlags::CLOEXEC)?;
        let (pid_end, pid_writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let mut command = Command::new(program);
        command.args(arguments);
        let gate_number = gate.as_raw_fd();
        let hook = move || {
            // SAFETY: a fork copies descriptors under the same numbers, so this is the child's own
            // copy of the gate, which would hide the profiler's death; nobody else here uses it.
            unsafe { libc::close(gate_number) };
            announce(&pid_writer)?;
            wait_for_release(&gate_end)
        };
        // SAFETY: between fork and exec the hook only closes, writes to and reads from pipes, which
        // is async-signal-safe; it allocates nothing.
        unsafe { command.pre_exec(hook) };
        let starting = thread::spawn(move || command.spawn());
        let mut pid = [0; 4];
        if read(&pid_end, &mut pid)? != pid.len() {
            // The process could not even be forked; the thread knows why.
            let error = starting.join().map(Result::err);
            return Err(error
                .ok()
                .flatten()
                .unwrap_or_else(|| io::ErrorKind::Other.into()));
        }
        Ok(Self {
            pid: Pid(u32::from_ne_bytes(pid)),
            gate,
            starting,
        })
    }

    /// Lets the command run.
    ///
    /// # Errors
    /// What exec said, most often that there is no such program.
    pub(super) fn release(self) -> io::Result<Child> {
        write(&self.gate, &[1])?;
        self.starting
            .join()
            .map_err(|_panicked| io::Error::from(io::ErrorKind::Other))?
    }
}

/// Writes the process's number to a pipe.
fn announce(writer: &OwnedFd) -> io::Result<()> {
    let pid = std::process::id();
    write(writer, &pid.to_ne_bytes())?;
    Ok(())
}

/// Waits for the word to run; an end without a word means that the profiler died.
fn wait_for_release(gate_end: &OwnedFd) -> io::Result<()> {
    loop {
        match read(gate_end, &mut [0]) {
            Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::HeldCommand;

    /// Words of a command line.
    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_command_runs_only_when_released_and_keeps_its_number() {
        let held = HeldCommand::start(&words(&["sh", "-c", "exit 7"])).unwrap();
        let pid = held.pid;
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert_eq!(
            std::env::current_exe().unwrap(),
            executable,
            "not the command yet"
        );
        let mut child = held.release().unwrap();
        assert_eq!(pid.0, child.id());
        assert_eq!(Some(7), child.wait().unwrap().code());
    }

    #[test]
    fn a_command_that_does_not_exist_is_an_error() {
        let held = HeldCommand::start(&words(&["/no/such/program"])).unwrap();
        assert_eq!(
            std::io::ErrorKind::NotFound,
            held.release().unwrap_err().kind()
        );
    }
}
