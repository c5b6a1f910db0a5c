//! Cgroups that are named after containers.

/// A container as its cgroup names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// The engine that runs it.
    pub(super) engine: &'static str,
    /// What it is called there.
    pub(super) called: Called,
}

/// What a cgroup says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Called {
    /// Its name.
    Name(String),
    /// Its full id.
    Id(String),
}

impl Called {
    /// The name, or as many digits of the id as engines print.
    pub(super) fn short(&self) -> &str {
        const SHORT_ID: usize = 12;
        match self {
            Self::Name(name) => name,
            Self::Id(id) => id.get(..SHORT_ID).unwrap_or(id),
        }
    }
}

/// How engines begin the name of a container's cgroup. Monitors (`libpod-conmon-`, `crio-conmon-`)
/// run outside of it and are told apart by what follows: no id.
const PREFIXES: [(&str, &str); 6] = [
    ("docker-", "docker"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
];

/// Services that make the cgroups of containers directly below their own.
const ENGINE_UNITS: [&str; 7] = [
    "containerd.service",
    "crio.service",
    "docker.service",
    "k3s-agent.service",
    "k3s.service",
    "kubelet.service",
    "snap.docker.dockerd.service",
];

/// The container that a cgroup belongs to; `rest` is the path below `slices`.
pub(super) fn container_of(slices: &[&str], rest: &[&str]) -> Option<Container> {
    let (first, below) = rest.split_first()?;
    if ENGINE_UNITS.contains(first) {
        return named_by_engine(slices, below);
    }
    // systemd-nspawn keeps itself in `supervisor` and the container in `payload`.
    if let Some(name) = first
        .strip_prefix("systemd-nspawn@")
        .and_then(|unit| unit.strip_suffix(".service"))
    {
        return (below.first() == Some(&"payload")).then(|| named("nspawn", name));
    }
    if slices == ["machine.slice"]
        && let Some(name) = machine_of(first)
    {
        return (below.first() != Some(&"supervisor")).then(|| named("nspawn", &name));
    }
    named_by_engine(slices, rest)
}

fn named_by_engine(slices: &[&str], rest: &[&str]) -> Option<Container> {
    let (first, below) = rest.split_first()?;
    if let Some(found) = of_identifier(first) {
        return Some(found);
    }
    let is_in_pod = slices.iter().any(|slice| slice.contains("kubepods"));
    if is_in_pod && is_identifier(first) {
        return Some(identified("kubernetes", first));
    }
    match (*first, below) {
        ("docker", ["buildkit", ..]) => Some(named("docker", "buildkit")),
        ("docker" | "actions_job", [id, ..]) if is_identifier(id) => Some(identified("docker", id)),
        ("libpod_parent", [id, ..]) => of_identifier(id),
        ("kubelet", ["kubepods", below @ ..]) | ("kubepods", below) => in_pod(below),
        ("lxc" | "lxc.payload", [name, ..]) => Some(named("lxc", name)),
        // containerd by itself: its namespace, and whatever its client called the container.
        ("default" | "k8s.io" | "moby", [id, ..]) if is_identifier(id) => {
            Some(identified("containerd", id))
        }
        _ => first
            .strip_prefix("lxc.payload.")
            .map(|name| named("lxc", name)),
    }
}

/// The cgroupfs driver: `kubepods[/QUALITY]/podUID/ID`. Only the path down to the id is the
/// kubelet's.
fn in_pod(below: &[&str]) -> Option<Container> {
    const DEEPEST: usize = 3;
    below.iter().take(DEEPEST).find_map(|component| {
        of_identifier(component)
            .or_else(|| is_identifier(component).then(|| identified("kubernetes", component)))
    })
}

/// `docker-ID.scope`, `docker-ID`, and `some.slice:docker:ID`, which engines make that were given
/// a name for systemd and use the file system instead.
fn of_identifier(component: &str) -> Option<Container> {
    let mut colons = component.split(':');
    if let (Some(slice), Some(engine), Some(id), None) =
        (colons.next(), colons.next(), colons.next(), colons.next())
        && slice.ends_with(".slice")
    {
        return of_identifier(&format!("{engine}-{id}"));
    }
    let name = component.strip_suffix(".scope").unwrap_or(component);
    PREFIXES.iter().find_map(|(prefix, engine)| {
        let id = name.strip_prefix(prefix)?;
        is_identifier(id).then(|| identified(engine, id))
    })
}

/// `machine-NAME.scope` of systemd-nspawn. Libvirt names its own `machine-qemu\x2dNUMBER\x2dNAME`:
/// those hold an emulator, which is a program of the host.
fn machine_of(component: &str) -> Option<String> {
    let name = component.strip_prefix("machine-")?.strip_suffix(".scope")?;
    let is_of_libvirt = name.split_once("\\x2d").is_some_and(|(driver, rest)| {
        matches!(driver, "qemu" | "lxc" | "xen" | "ch")
            && rest.starts_with(|first: char| first.is_ascii_digit())
    });
    (!is_of_libvirt && !name.is_empty()).then(|| without_random_end(&name.replace("\\x2d", "-")))
}

/// An ephemeral machine of systemd-nspawn is named after its image, and sixteen digits.
fn without_random_end(name: &str) -> String {
    const DIGITS: usize = 16;
    match name.rsplit_once('-') {
        Some((image, digits))
            if !image.is_empty()
                && digits.len() == DIGITS
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            image.to_owned()
        }
        _ => name.to_owned(),
    }
}

fn named(engine: &'static str, name: &str) -> Container {
    Container {
        engine,
        called: Called::Name(name.to_owned()),
    }
}

fn identified(engine: &'static str, id: &str) -> Container {
    Container {
        engine,
        called: Called::Id(id.to_owned()),
    }
}

fn is_identifier(text: &str) -> bool {
    const FULL_ID: usize = 64;
    text.len() == FULL_ID
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
