//! Configuration: files to plain structs, every value checked.
//!
//! Job: read what an operator wrote. In: TOML files. Out: one struct for each program, defaults
//! filled in. **Invariant:** a key that is not known is an error that names it.

mod budget;
mod daemon;
mod error;
mod load;
mod service;

pub use self::{
    budget::{BudgetError, MaxMemory, MaxOverhead},
    daemon::{DaemonConfig, KubeletConfig, RelabelConfig, ServerTlsConfig, SpoolConfig},
    error::ConfigError,
    load::load,
    service::{
        AccessConfig, LimitsConfig, RetentionConfig, RoleName, ServiceConfig, TlsConfig,
        TokenConfig, days,
    },
};
