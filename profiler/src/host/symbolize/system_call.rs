//! Names of system calls and of errnos.

use syscalls::Errno;
#[cfg(target_arch = "aarch64")]
use syscalls::{aarch64 as native, arm as compat};
#[cfg(target_arch = "x86_64")]
use syscalls::{x86 as compat, x86_64 as native};

use crate::model::Syscall;

/// The name of a system call of the architecture that this runs on: `read`; `read (32-bit)` out of
/// the table of 32-bit programs; a number that is newer than this program as it is.
pub fn system_call_name(call: Syscall) -> String {
    let number = usize::try_from(call.number).unwrap_or(usize::MAX);
    let name = if call.is_compat {
        compat::Sysno::new(number).map(|call| call.name())
    } else {
        native::Sysno::new(number).map(|call| call.name())
    };
    let name = name.map_or_else(|| format!("system call {}", call.number), str::to_owned);
    if call.is_compat {
        format!("{name} (32-bit)")
    } else {
        name
    }
}

/// The name of an errno: `EAGAIN`; one that has none as its number.
pub fn errno_name(errno: u16) -> String {
    let name = Errno::new(i32::from(errno)).name();
    name.map_or_else(|| format!("errno {errno}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{errno_name, system_call_name};
    use crate::model::Syscall;

    /// The same calls as the C library of this machine numbers them.
    #[test]
    fn names_are_those_of_this_machine() {
        let name = |number: libc::c_long, is_compat| {
            let number = u32::try_from(number).unwrap();
            system_call_name(Syscall { number, is_compat })
        };
        assert_eq!("read", name(libc::SYS_read, false));
        assert_eq!("clock_nanosleep", name(libc::SYS_clock_nanosleep, false));
        assert_eq!("epoll_pwait2", name(libc::SYS_epoll_pwait2, false));
        assert_eq!("read (32-bit)", name(3, true));
        assert_eq!("system call 40000", name(40_000, false));
    }

    #[test]
    fn errnos_have_names_and_those_that_have_none_stay_numbers() {
        assert_eq!("EAGAIN", errno_name(11));
        assert_eq!("ERESTARTSYS", errno_name(512));
        assert_eq!("errno 4000", errno_name(4_000));
    }
}
