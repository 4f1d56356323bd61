//! Who may do what.
//!
//! Job: tell who asks, by token or certificate, and refuse what their role does not allow. In: the
//! head of a request, the peer's certificate. Out: an [`Identity`] for the stages behind, or a
//! refusal. **Invariant:** no token is ever written anywhere, and all are compared in the same time.

mod error;
mod guard;
mod identity;
mod limits;
mod tls;
mod tokens;

pub use self::{
    error::AccessError,
    guard::{Access, AccessCounters, check},
    identity::{Identity, PeerCertificate, Role},
    tls::{TlsAcceptor, TlsSource},
    tokens::sha256_hex,
};
