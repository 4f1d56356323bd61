//! Processes: which code is mapped where.
//!
//! Job: keep every process's executable mappings true, and give each object file a number.
//! In: process events, `/proc`. Out: mappings for the probe; object files to compile; the place of
//! a bare address. **Invariant:** a process that vanishes while it is read is no error.
//! **Loses data when:** a process has more mappings than the probe keeps, counted there.

mod address_space;
mod limits;
mod objects;
mod proc_files;
mod table;

pub use self::{
    address_space::{AddressSpace, CodeMapping},
    objects::{Object, Objects, ObjectsById, ReadBuildId, open_mapped},
    proc_files::{
        cgroup_id_and_level, numbers_in_namespaces, processes_by_cpu_time, read_mappings,
        threads_of,
    },
    table::{Changes, ProcessTable},
};
