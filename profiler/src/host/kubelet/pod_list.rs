//! The list as Kubernetes writes it.

use serde::Deserialize;

use super::limits::CONTAINERS_MAX;
use crate::model::PodContainer;

/// A list of pods; what is not needed is skipped.
#[derive(Debug, Deserialize)]
struct PodList {
    #[serde(default)]
    items: Option<Vec<Pod>>,
}

/// One pod.
#[derive(Debug, Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

/// What it is called.
#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
}

/// What runs in it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "as the kubelet calls them")]
struct Status {
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    init_container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// One container.
#[derive(Debug, Deserialize)]
struct ContainerStatus {
    #[serde(default)]
    name: String,
    /// `containerd://⟨id⟩`; absent or empty before it has started.
    #[serde(default, rename = "containerID")]
    container_id: String,
}

/// Containers of a list. A pod without any that has started has one without an id and name, so that
/// its pod is known all the same.
///
/// # Errors
/// It is no list of pods.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<PodContainer>, serde_json::Error> {
    let list: PodList = serde_json::from_slice(bytes)?;
    let pods = list.items.unwrap_or_default();
    Ok((pods.into_iter())
        .flat_map(containers)
        .take(CONTAINERS_MAX)
        .collect())
}

/// Containers of a pod, and one that stands for the pod alone.
fn containers(pod: Pod) -> Vec<PodContainer> {
    let Pod { metadata, status } = pod;
    let container = |name: String, id: &str| PodContainer {
        pod_uid: metadata.uid.clone(),
        pod: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        container_id: id.rsplit('/').next().unwrap_or_default().to_owned(),
        container: name,
    };
    let statuses = (status.container_statuses.into_iter())
        .chain(status.init_container_statuses)
        .chain(status.ephemeral_container_statuses);
    let started = statuses.filter(|status| !status.container_id.is_empty());
    let alone = container(String::new(), "");
    started
        .map(|status| container(status.name, &status.container_id))
        .chain([alone])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_has_no_status_yet_is_known_by_its_pod() {
        let list =
            br#"{"kind":"PodList","items":[{"metadata":{"name":"p","namespace":"n","uid":"u"}}]}"#;
        let [pod] = &parse(list).unwrap()[..] else {
            panic!("another number of containers");
        };
        assert_eq!(
            ("u", "p", ""),
            (&*pod.pod_uid, &*pod.pod, &*pod.container_id)
        );
        assert!(parse(br#"{"items":null}"#).unwrap().is_empty());
        parse(b"<html>").unwrap_err();
    }
}
