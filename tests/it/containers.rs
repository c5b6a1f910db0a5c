//! What containers are called, from trees of files as engines leave them.
#![expect(
    clippy::unwrap_used,
    reason = "a tree that cannot be made fails the test"
)]

use std::{fs, path::Path};

use egress_baseline::{
    identity::{ContainerId, facts::facts_of_container},
    model::{ContainerFacts, PodFacts},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn write(root: &Path, path: &str, content: &Value) {
    let path = root.join(path.replace("{ID}", ID));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content.to_string()).unwrap();
}

/// The facts of a container of an engine on a host that has one file.
fn found(engine: &'static str, uid: Option<u32>, path: &str, content: &Value) -> ContainerFacts {
    let tree = tempfile::tempdir().unwrap();
    write(tree.path(), path, content);
    fs::create_dir_all(tree.path().join("etc")).unwrap();
    fs::write(
        tree.path().join("etc/passwd"),
        "alice:x:1000:1000::/home/alice:/bin/sh\n",
    )
    .unwrap();
    let container = ContainerId {
        engine,
        id: ID.to_owned(),
        uid,
    };
    facts_of_container(tree.path(), &container).unwrap_or_default()
}

fn named(name: &str, image: &str) -> ContainerFacts {
    ContainerFacts {
        name: Some(name.to_owned()),
        image: Some(image.to_owned()),
        ..ContainerFacts::default()
    }
}

fn in_pod(container: Option<&str>) -> Option<PodFacts> {
    Some(PodFacts {
        namespace: "shop".to_owned(),
        name: "web-7d4b9c6f5d-x2x9z".to_owned(),
        container: container.map(str::to_owned),
    })
}

/// As Docker 24 writes it, but for what is not read.
fn config_of_docker() -> Value {
    json!({
        "StreamConfig": {}, "State": {"Running": true}, "ID": ID,
        "Config": {"Hostname": "0123456789ab", "Image": "nginx:1.25", "Labels": {}},
        "Image": "sha256:a6bd71f48f68", "Name": "/proxy", "Driver": "overlay2",
    })
}

#[test]
fn docker_names_its_containers() {
    let config = config_of_docker();
    for path in [
        "var/lib/docker/containers/{ID}/config.v2.json",
        "var/snap/docker/common/var-lib-docker/containers/{ID}/config.v2.json",
    ] {
        assert_eq!(
            found("docker", None, path, &config),
            named("proxy", "nginx:1.25"),
            "{path}"
        );
    }
    let rootless = "home/alice/.local/share/docker/containers/{ID}/config.v2.json";
    assert_eq!(
        found("docker", Some(1000), rootless, &config),
        named("proxy", "nginx:1.25")
    );
    // Files of a user say nothing of what the host runs.
    assert_eq!(
        found("docker", None, rootless, &config),
        ContainerFacts::default()
    );
}

#[test]
fn docker_may_keep_its_files_elsewhere() {
    let tree = tempfile::tempdir().unwrap();
    write(
        tree.path(),
        "etc/docker/daemon.json",
        &json!({"data-root": "/srv/docker"}),
    );
    write(
        tree.path(),
        "srv/docker/containers/{ID}/config.v2.json",
        &config_of_docker(),
    );
    let container = ContainerId {
        engine: "docker",
        id: ID.to_owned(),
        uid: None,
    };
    assert_eq!(
        facts_of_container(tree.path(), &container),
        Some(named("proxy", "nginx:1.25"))
    );
}

#[test]
fn labels_tell_the_service_and_the_pod() {
    let path = "var/lib/docker/containers/{ID}/config.v2.json";
    let service = |labels: Value| {
        let mut config = config_of_docker();
        config["Config"]["Labels"] = labels;
        found("docker", None, path, &config)
    };
    let compose = json!({
        "com.docker.compose.project": "shop", "com.docker.compose.service": "api",
        "com.docker.compose.container-number": "3",
    });
    assert_eq!(service(compose).service.as_deref(), Some("shop/api"));
    let swarm = json!({"com.docker.swarm.service.name": "shop_api"});
    assert_eq!(service(swarm).service.as_deref(), Some("shop_api"));
    let ecs = json!({
        "com.amazonaws.ecs.task-definition-family": "shop",
        "com.amazonaws.ecs.container-name": "api",
    });
    assert_eq!(service(ecs).service.as_deref(), Some("shop/api"));
    let pod = |container: &str| {
        json!({
            "io.kubernetes.container.name": container,
            "io.kubernetes.pod.name": "web-7d4b9c6f5d-x2x9z",
            "io.kubernetes.pod.namespace": "shop",
        })
    };
    assert_eq!(service(pod("nginx")).pod, in_pod(Some("nginx")));
    assert_eq!(service(pod("POD")).pod, in_pod(None));
}

#[test]
fn podman_names_its_containers() {
    // containers/storage 1.51, as Podman 4 has it.
    let metadata = json!({"image-name": "docker.io/library/nginx:1.25", "name": "proxy"});
    let list = json!([
        {"id": "ffff", "names": ["other"], "metadata": "{}"},
        {"id": ID, "names": ["proxy"], "layer": "ab", "metadata": metadata.to_string()},
    ]);
    let expected = named("proxy", "docker.io/library/nginx:1.25");
    for path in [
        "var/lib/containers/storage/overlay-containers/containers.json",
        "var/lib/containers/storage/overlay-containers/volatile-containers.json",
        "run/containers/storage/vfs-containers/volatile-containers.json",
    ] {
        assert_eq!(found("podman", None, path, &list), expected, "{path}");
    }
    let rootless = "home/alice/.local/share/containers/storage/overlay-containers/containers.json";
    assert_eq!(found("podman", Some(1000), rootless, &list), expected);
    assert_eq!(
        found("podman", Some(1001), rootless, &list),
        ContainerFacts::default()
    );
}

#[test]
fn containerd_and_its_distributions_name_pods() {
    // containerd 1.7.
    let bundle = json!({
        "ociVersion": "1.1.0",
        "annotations": {
            "io.kubernetes.cri.container-name": "nginx",
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": "docker.io/library/nginx:1.25",
            "io.kubernetes.cri.sandbox-name": "web-7d4b9c6f5d-x2x9z",
            "io.kubernetes.cri.sandbox-namespace": "shop",
        },
    });
    for place in [
        "run/containerd",
        "run/k3s/containerd",
        "var/snap/microk8s/common/run/containerd",
        "run/k0s/containerd",
    ] {
        let path = format!("{place}/io.containerd.runtime.v2.task/k8s.io/{{ID}}/config.json");
        for engine in ["containerd", "kubernetes"] {
            let facts = found(engine, None, &path, &bundle);
            assert_eq!(facts.pod, in_pod(Some("nginx")), "{engine} {place}");
        }
    }
    let nerdctl = json!({"annotations": {"nerdctl/name": "proxy", "nerdctl/namespace": "default"}});
    let path = "run/containerd/io.containerd.runtime.v2.task/default/{ID}/config.json";
    assert_eq!(
        found("containerd", None, path, &nerdctl).name.as_deref(),
        Some("proxy")
    );
}

#[test]
fn cri_o_names_pods() {
    // CRI-O 1.28.
    let bundle = json!({
        "annotations": {
            "io.kubernetes.container.name": "nginx",
            "io.kubernetes.cri-o.ContainerType": "container",
            "io.kubernetes.cri-o.ImageName": "docker.io/library/nginx:1.25",
            "io.kubernetes.pod.name": "web-7d4b9c6f5d-x2x9z",
            "io.kubernetes.pod.namespace": "shop",
        },
    });
    let path = "run/containers/storage/overlay-containers/{ID}/userdata/config.json";
    for engine in ["cri-o", "kubernetes"] {
        assert_eq!(
            found(engine, None, path, &bundle).pod,
            in_pod(Some("nginx")),
            "{engine}"
        );
    }
}

#[test]
fn files_that_say_nonsense_name_nothing() {
    let path = "var/lib/docker/containers/{ID}/config.v2.json";
    for content in [
        json!(null),
        json!([]),
        json!({"Name": 7, "Config": []}),
        json!({"Name": "a\nb", "Config": {"Image": "x".repeat(300), "Labels": "none"}}),
    ] {
        let facts = found("docker", None, path, &content);
        assert_eq!(facts, ContainerFacts::default(), "{content}");
    }
}

#[test]
fn a_file_that_is_broken_or_no_file_is_not_read() {
    let path = "var/lib/docker/containers/{ID}/config.v2.json";
    let tree = tempfile::tempdir().unwrap();
    let broken = tree.path().join(path.replace("{ID}", ID));
    fs::create_dir_all(broken.parent().unwrap()).unwrap();
    fs::write(&broken, "{\"Name\": \"/pro").unwrap();
    let container = ContainerId {
        engine: "docker",
        id: ID.to_owned(),
        uid: None,
    };
    assert_eq!(facts_of_container(tree.path(), &container), None);
    // Nobody writes to this pipe: to open it would wait for good.
    fs::remove_file(&broken).unwrap();
    mknodat(CWD, &broken, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(facts_of_container(tree.path(), &container), None);
}
