//! What the node's Kubernetes agent says of its pods.
//!
//! Job: names for containers. In: the kubelet's list of pods, over HTTP. Out: containers with pod and
//! namespace. **Invariant:** the answer is bounded and not trusted; a kubelet that is away or refuses
//! is an error to log, never a reason to stop.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod error;
mod http;
mod limits;
mod pod_list;

pub use self::{
    error::KubeletError,
    http::{Kubelet, read_pods},
    limits::REFRESH_PAUSE,
};
