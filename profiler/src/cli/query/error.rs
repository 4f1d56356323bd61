//! Errors that have an exit code of their own.

/// The service cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot reach {server}; is `profiler serve` or `profiler up` running there? name another one \
     with --server or PROFILER_SERVER"
)]
pub struct UnreachableError {
    /// Where it should be.
    pub server: String,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What was asked for does not make sense.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The service does not understand the question.
    #[error("{message}")]
    Refused {
        /// What it says.
        message: String,
    },
    /// This answer has no such form.
    #[error("`{question}` has no form `{format}`; it has {known}")]
    Format {
        /// Which question.
        question: &'static str,
        /// What was asked for.
        format: String,
        /// What there is.
        known: &'static str,
    },
    /// The file's name does not tell its form.
    #[error("{path}: its extension tells no form; use {known}, or name it with --format")]
    Extension {
        /// The name.
        path: String,
        /// Extensions there are.
        known: &'static str,
    },
    /// The address of the service is none.
    #[error("--server {server}: expected http://HOST:PORT or https://HOST:PORT")]
    Server {
        /// What was given.
        server: String,
    },
    /// A token that no header can carry.
    #[error("the token has characters that no token has")]
    Token,
    /// The span of time is empty.
    #[error("the time range is empty: --from is not before --to")]
    EmptyRange,
}
