//! What engines wrote down of their containers, read from their files.
//!
//! Nothing is asked of an engine: its socket would give whoever talks to it the whole host. Files of
//! users are the users' own; what they say counts only for containers that bear the user's name.

use std::{
    fs,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use serde_json::Value;

use super::{accounts::home_of, first_bytes_at};
use crate::{
    identity::ContainerId,
    model::{ContainerFacts, PodFacts},
};

/// A list of all containers of an engine has about a kilobyte for each.
const LARGEST_FILE: u64 = 8 << 20;

/// Namespaces of containerd that are looked into; each client has one.
const MOST_NAMESPACES: usize = 32;

/// Longest text that is taken for a name.
const LONGEST_NAME: usize = 256;

/// Where Docker keeps its containers unless it is told otherwise: packaged, and as a snap.
const DOCKER: [&str; 2] = ["var/lib/docker", "var/snap/docker/common/var-lib-docker"];

/// Where containerd keeps what runs: by itself, in k3s and RKE2, MicroK8s and k0s.
const CONTAINERD: [&str; 4] = [
    "run/containerd",
    "run/k3s/containerd",
    "var/snap/microk8s/common/run/containerd",
    "run/k0s/containerd",
];

/// Where the library of Podman and CRI-O keeps what is stored, and what runs.
const STORAGE: [&str; 2] = ["var/lib/containers/storage", "run/containers/storage"];

/// How that library names its directories, by the driver of its layers.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];

/// What the files below `root` say of a container.
pub fn facts_of_container(root: &Path, container: &ContainerId) -> Option<ContainerFacts> {
    let home = match container.uid {
        Some(uid) => Some(root.join(home_of(root, uid)?.trim_start_matches('/'))),
        None => None,
    };
    let id = container.id.as_str();
    match container.engine {
        "docker" if home.is_some() => of_docker(root, home.as_deref(), id),
        "podman" => of_storage(root, home.as_deref(), id),
        _ if home.is_some() => None,
        "docker" => of_docker(root, None, id).or_else(|| of_containerd(root, id)),
        "cri-o" => of_bundle_in_storage(root, id),
        "containerd" => of_containerd(root, id),
        // The path says nothing of who runs the pod.
        "kubernetes" => of_containerd(root, id)
            .or_else(|| of_bundle_in_storage(root, id))
            .or_else(|| of_docker(root, None, id)),
        _ => None,
    }
}

/// The document at `path`, if that is a plain file.
///
/// Users name files too: what they put there may be a pipe that nobody writes to, or a link to a
/// device that acts when it is opened. A path alone opens nothing.
fn json_at(path: &Path) -> Option<Value> {
    let place = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    if !FileType::from_raw_mode(fstat(&place).ok()?.st_mode).is_file() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", place.as_raw_fd());
    serde_json::from_slice(&first_bytes_at(Path::new(&path), LARGEST_FILE)?).ok()
}

/// A text that can be part of a name.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_name = !text.is_empty()
        && text.len() <= LONGEST_NAME
        && !text.contains(|character: char| character.is_control() || character.is_whitespace());
    is_name.then(|| text.to_owned())
}

/// `containers/ID/config.v2.json`.
fn of_docker(root: &Path, home: Option<&Path>, id: &str) -> Option<ContainerFacts> {
    let places: Vec<PathBuf> = match home {
        Some(home) => vec![home.join(".local/share/docker")],
        None => elsewhere(root)
            .into_iter()
            .chain(DOCKER.iter().map(|place| root.join(place)))
            .collect(),
    };
    let config = places
        .iter()
        .find_map(|place| json_at(&place.join("containers").join(id).join("config.v2.json")))?;
    let labels = &config["Config"]["Labels"];
    Some(ContainerFacts {
        name: text(&config["Name"]).map(|name| name.trim_start_matches('/').to_owned()),
        image: text(&config["Config"]["Image"]),
        service: service_in(labels),
        pod: pod_in(labels),
    })
}

/// `data-root` in `daemon.json`.
fn elsewhere(root: &Path) -> Option<PathBuf> {
    let place = text(&json_at(&root.join("etc/docker/daemon.json"))?["data-root"])?;
    Some(root.join(place.trim_start_matches('/')))
}

/// `overlay-containers/containers.json`; the volatile ones are those that vanish when they end.
fn of_storage(root: &Path, home: Option<&Path>, id: &str) -> Option<ContainerFacts> {
    let places: Vec<PathBuf> = match home {
        Some(home) => vec![home.join(".local/share/containers/storage")],
        None => STORAGE.iter().map(|place| root.join(place)).collect(),
    };
    places.iter().find_map(|place| {
        DRIVERS.iter().find_map(|driver| {
            let directory = place.join(format!("{driver}-containers"));
            ["containers.json", "volatile-containers.json"]
                .iter()
                .find_map(|list| listed(&json_at(&directory.join(list))?, id))
        })
    })
}

fn listed(list: &Value, id: &str) -> Option<ContainerFacts> {
    let of_id = |container: &&Value| container["id"].as_str() == Some(id);
    let container = list.as_array()?.iter().find(of_id)?;
    let metadata: Option<Value> = container["metadata"]
        .as_str()
        .and_then(|metadata| serde_json::from_str(metadata).ok());
    Some(ContainerFacts {
        name: text(&container["names"][0]),
        image: metadata.and_then(|metadata| text(&metadata["image-name"])),
        ..ContainerFacts::default()
    })
}

/// `io.containerd.runtime.v2.task/NAMESPACE/ID/config.json`.
fn of_containerd(root: &Path, id: &str) -> Option<ContainerFacts> {
    CONTAINERD.iter().find_map(|place| {
        let tasks = root.join(place).join("io.containerd.runtime.v2.task");
        let mut namespaces: Vec<PathBuf> = fs::read_dir(tasks)
            .ok()?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .take(MOST_NAMESPACES)
            .collect();
        namespaces.sort_unstable();
        namespaces
            .iter()
            .find_map(|namespace| json_at(&namespace.join(id).join("config.json")))
            .and_then(|bundle| in_bundle(&bundle))
    })
}

/// `overlay-containers/ID/userdata/config.json`.
fn of_bundle_in_storage(root: &Path, id: &str) -> Option<ContainerFacts> {
    STORAGE.iter().rev().find_map(|place| {
        let directory = root.join(place).join("overlay-containers").join(id);
        in_bundle(&json_at(&directory.join("userdata/config.json"))?)
    })
}

/// The annotations that containerd's and CRI-O's servers for Kubernetes, and nerdctl, add to the
/// configuration that runc gets.
fn in_bundle(bundle: &Value) -> Option<ContainerFacts> {
    let annotations = &bundle["annotations"];
    let of = |name: &str| text(&annotations[name]);
    let pod = of("io.kubernetes.cri.sandbox-name").map(|name| PodFacts {
        namespace: of("io.kubernetes.cri.sandbox-namespace").unwrap_or_default(),
        name,
        container: of("io.kubernetes.cri.container-name"),
    });
    let facts = ContainerFacts {
        name: of("nerdctl/name"),
        image: of("io.kubernetes.cri.image-name").or_else(|| of("io.kubernetes.cri-o.ImageName")),
        service: service_in(annotations),
        pod: pod.or_else(|| pod_in(annotations)),
    };
    (facts != ContainerFacts::default()).then_some(facts)
}

/// What the kubelet tells every engine.
fn pod_in(labels: &Value) -> Option<PodFacts> {
    Some(PodFacts {
        namespace: text(&labels["io.kubernetes.pod.namespace"])?,
        name: text(&labels["io.kubernetes.pod.name"])?,
        container: text(&labels["io.kubernetes.container.name"]).filter(|name| name != "POD"),
    })
}

/// What Compose, Swarm and ECS say of the service that a container is an instance of.
fn service_in(labels: &Value) -> Option<String> {
    let of = |name: &str| text(&labels[name]);
    let pair = |first: &str, second: &str| Some(format!("{}/{}", of(first)?, of(second)?));
    pair("com.docker.compose.project", "com.docker.compose.service")
        .or_else(|| of("com.docker.swarm.service.name"))
        .or_else(|| {
            pair(
                "com.amazonaws.ecs.task-definition-family",
                "com.amazonaws.ecs.container-name",
            )
        })
}
