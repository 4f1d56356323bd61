//! What the path of a cgroup says: container, systemd unit, pod.
//!
//! Container engines and systemd name cgroups by fixed patterns; nobody has to be asked.

/// What a path says. Parts that it does not say are empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CgroupFacts {
    /// Id of the container: 64 hexadecimal digits, or the name of a machine (`systemd-nspawn`, LXC).
    pub container: String,
    /// Systemd unit, with its suffix.
    pub unit: String,
    /// Unique id of the Kubernetes pod, with hyphens.
    pub pod_uid: String,
}

/// Digits of a container's id.
const CONTAINER_ID_DIGITS: usize = 64;
/// What engines put before the id in the name of a systemd scope.
const SCOPE_PREFIXES: [&str; 6] = [
    "docker-",
    "cri-containerd-",
    "containerd-",
    "crio-",
    "libpod-",
    "garden-",
];
/// Suffixes of units that hold processes.
const UNIT_SUFFIXES: [&str; 3] = [".service", ".scope", ".socket"];

impl CgroupFacts {
    /// Reads a path. The innermost part that says something counts.
    pub fn parse(path: &str) -> Self {
        let mut facts = Self::default();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if let Some(pod) = pod_uid(part) {
                facts.pod_uid = pod;
            }
            if let Some(id) = container_id(part) {
                id.clone_into(&mut facts.container);
            } else if let Some(name) = machine(part) {
                facts.container = name;
            } else if is_unit(part) {
                facts.unit = unescape(part);
            }
        }
        facts
    }

    /// The unit without its suffix: what a person calls the service. Empty for a login session and
    /// for no unit.
    pub fn unit_name(&self) -> &str {
        let name = (UNIT_SUFFIXES.iter()).find_map(|suffix| self.unit.strip_suffix(suffix));
        let is_session = self.unit.starts_with("session-") || self.unit.starts_with("user@");
        name.filter(|_name| !is_session && self.unit != "init.scope")
            .unwrap_or_default()
    }
}

/// The id of a container: the whole part (Docker and containerd without systemd), in a scope
/// (`docker-⟨id⟩.scope`), or behind the namespace of Kubernetes' older engine
/// (`kubepods-…:cri-containerd:⟨id⟩`). A watcher of CRI-O (`crio-conmon-⟨id⟩`) is no container.
fn container_id(part: &str) -> Option<&str> {
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    let bare = bare.rsplit(':').next().unwrap_or(bare);
    let id = (SCOPE_PREFIXES.iter())
        .find_map(|prefix| bare.strip_prefix(prefix))
        .unwrap_or(bare);
    is_hexadecimal(id, CONTAINER_ID_DIGITS).then_some(id)
}

/// The name of a machine: `machine-⟨name⟩.scope` of systemd, `lxc.payload.⟨name⟩` of LXC.
fn machine(part: &str) -> Option<String> {
    let scope = part.strip_prefix("machine-");
    let name = scope
        .and_then(|name| name.strip_suffix(".scope"))
        .or_else(|| part.strip_prefix("lxc.payload."))?;
    (!name.is_empty()).then(|| unescape(name))
}

/// The pod in `pod⟨uid⟩`, or in the name of a slice, where hyphens are underscores.
fn pod_uid(part: &str) -> Option<String> {
    let part = part.split(':').next().unwrap_or(part);
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let (before, uid) = match part.rsplit_once("-pod") {
        Some(parts) => parts,
        None => ("kubepods", part.strip_prefix("pod")?),
    };
    let uid = uid.replace('_', "-");
    let digits = uid.chars().filter(|c| *c != '-').collect::<String>();
    (before.starts_with("kubepods") && is_hexadecimal(&digits, 32)).then_some(uid)
}

/// Whether a part is a unit that holds processes.
fn is_unit(part: &str) -> bool {
    UNIT_SUFFIXES.iter().any(|suffix| part.ends_with(suffix))
}

/// Whether a text is so many hexadecimal digits.
fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name of systemd with `\x2d` as the character that it stands for.
fn unescape(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        text.push_str(before);
        let code = after
            .get(..2)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) if code.is_ascii() => {
                text.push(char::from(code));
                rest = after.get(2..).unwrap_or_default();
            }
            Some(_) | None => {
                text.push_str("\\x");
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::CgroupFacts;

    const ID: &str = "3f4ab8de9c1f0e77a2b4c6d8e0f1a3b5c7d9e1f2031425364758697a8b9cadbe";
    const POD: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

    #[track_caller]
    fn check(path: &str, container: &str, unit: &str, pod_uid: &str) {
        let path = path
            .replace("ID", ID)
            .replace("UPOD", &POD.replace('-', "_"));
        let path = path.replace("POD", POD);
        let facts = CgroupFacts::parse(&path);
        let expected = CgroupFacts {
            container: container.replace("ID", ID),
            unit: unit.replace("ID", ID),
            pod_uid: pod_uid.replace("POD", POD),
        };
        assert_eq!(expected, facts, "{path}");
    }

    #[test]
    fn containers_of_every_engine() {
        check("/docker/ID", "ID", "", "");
        check("/system.slice/docker-ID.scope", "ID", "", "");
        check("/machine.slice/libpod-ID.scope/container", "ID", "", "");
        check("/default/ID", "ID", "", "");
        check(
            "/system.slice/containerd.service/ID",
            "ID",
            "containerd.service",
            "",
        );
    }

    #[test]
    fn pods_of_kubernetes() {
        check("/kubepods/burstable/podPOD/ID", "ID", "", "POD");
        check(
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUPOD.slice/cri-containerd-ID.scope",
            "ID",
            "",
            "POD",
        );
        check(
            "/kubepods.slice/kubepods-podUPOD.slice/crio-ID.scope",
            "ID",
            "",
            "POD",
        );
        check(
            "/kubepods.slice/kubepods-podUPOD.slice/crio-conmon-ID.scope",
            "",
            "crio-conmon-ID.scope",
            "POD",
        );
        check(
            "/system.slice/containerd.service/kubepods-burstable-podUPOD.slice:cri-containerd:ID",
            "ID",
            "containerd.service",
            "POD",
        );
        check("/kubepods/burstable/podPOD", "", "", "POD");
    }

    #[test]
    fn units_of_systemd() {
        check("/system.slice/nginx.service", "", "nginx.service", "");
        check(
            "/system.slice/system-getty.slice/getty@tty1.service",
            "",
            "getty@tty1.service",
            "",
        );
        check(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope",
            "",
            "app-firefox.scope",
            "",
        );
        check(
            r"/system.slice/dev\x2dhugepages.service",
            "",
            "dev-hugepages.service",
            "",
        );
    }

    #[test]
    fn machines() {
        check(
            r"/machine.slice/machine-web\x2done.scope",
            "web-one",
            "",
            "",
        );
        check("/lxc.payload.build/init.scope", "build", "init.scope", "");
    }

    #[test]
    fn paths_that_say_nothing() {
        for path in [
            "",
            "/",
            "/podman",
            "/pod",
            "/user.slice",
            r"/\x",
            "/docker/abc",
            "/podPOD.x",
        ] {
            check(path, "", "", "");
        }
    }

    #[test]
    fn a_unit_is_called_by_its_name_and_a_session_is_none() {
        let name = |unit: &str| {
            CgroupFacts {
                unit: unit.to_owned(),
                ..CgroupFacts::default()
            }
            .unit_name()
            .to_owned()
        };
        assert_eq!("nginx", name("nginx.service"));
        for unit in ["session-3.scope", "user@0.service", "init.scope", ""] {
            assert_eq!("", name(unit));
        }
    }
}
