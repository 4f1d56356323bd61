//! A container as Kubernetes knows it.

/// A container as the Kubernetes agent of its node knows it. Parts that are not known are empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodContainer {
    /// Unique id of its pod.
    pub pod_uid: String,
    /// Name of its pod.
    pub pod: String,
    /// Namespace of its pod.
    pub namespace: String,
    /// Its id as the engine has it; empty when this stands for the pod alone.
    pub container_id: String,
    /// Its name in the pod.
    pub container: String,
}
