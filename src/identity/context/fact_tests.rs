//! What else than the cgroup tells a context.

use super::{ContainerId, container_on, context_of, slice_uid_of};
use crate::model::{ContainerFacts, PodFacts, RawIdentity};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const POD: &str = "7f9a1c1e_4f0e_4bd1_9a1e_0d6b5b1f2a3c";

/// The context of a process of bob, whom a daemon started or who logged in as carol.
fn context_by(path: &str, daemon: Option<&str>, login: Option<&str>) -> String {
    let raw = RawIdentity {
        user: Some("bob".to_owned()),
        uid: Some(1001),
        cgroup_path: Some(path.to_owned()),
        slice_user: slice_uid_of(path).map(|_| "alice".to_owned()),
        job_daemon: daemon.map(str::to_owned),
        login_user: login.map(str::to_owned),
        ..RawIdentity::default()
    };
    context_of(&raw).as_str().to_owned()
}

#[test]
fn ancestors_tell_a_job_where_the_cgroup_tells_a_session_or_nothing() {
    const SESSION: &str = "/user.slice/user-1000.slice/session-12.scope";
    for (path, daemon, expected) in [
        (SESSION, Some("crond"), "cron:bob"),
        (SESSION, Some("anacron"), "cron:bob"),
        (SESSION, Some("atd"), "at:bob"),
        (SESSION, None, "session:alice"),
        ("/", Some("crond"), "cron:bob"),
        ("/", None, "none"),
        (
            "/system.slice/web.service",
            Some("cron"),
            "unit:web.service",
        ),
        ("/lxc.payload.web", Some("cron"), "container:lxc/web"),
        ("/../session-1.scope", Some("cron"), "none"),
    ] {
        assert_eq!(
            context_by(path, daemon, None),
            expected,
            "{path} {daemon:?}"
        );
    }
    let manager = "/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service";
    assert_eq!(
        context_by(manager, Some("cron"), None),
        "user-unit:alice:sync.service"
    );
}

#[test]
fn a_login_tells_a_session_where_no_session_has_a_cgroup() {
    for (path, expected) in [
        ("/system.slice/ssh.service", "session:carol"),
        (
            "/system.slice/system-sshd.slice/sshd@7-10.0.0.1:22-10.0.0.9:4711.service",
            "session:carol",
        ),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            "session:carol",
        ),
        ("/openrc.sshd", "session:carol"),
        ("/", "session:carol"),
        ("/system.slice/web.service", "unit:web.service"),
        (
            "/user.slice/user-1000.slice/session-12.scope",
            "session:alice",
        ),
        ("/system.slice/cron.service", "cron:bob"),
    ] {
        assert_eq!(context_by(path, None, Some("carol")), expected, "{path}");
    }
    assert_eq!(
        context_by("/system.slice/ssh.service", None, None),
        "unit:ssh.service"
    );
}

fn context_with(path: &str, container: ContainerFacts) -> String {
    let raw = RawIdentity {
        host: "node1".to_owned(),
        cgroup_path: Some(path.replace("{ID}", ID).replace("{POD}", POD)),
        slice_user: Some("alice".to_owned()),
        container: Some(container),
        ..RawIdentity::default()
    };
    context_of(&raw).as_str().to_owned()
}

#[test]
fn files_of_the_host_name_containers_and_pods() {
    let named = |name: &str| ContainerFacts {
        name: Some(name.to_owned()),
        image: Some("docker.io/library/nginx:1.25".to_owned()),
        ..ContainerFacts::default()
    };
    let rootful = "/system.slice/docker-{ID}.scope";
    assert_eq!(
        context_with(rootful, named("proxy")),
        "container:docker/proxy"
    );
    assert_eq!(
        context_with(rootful, named("quirky_hopper")),
        "container:docker/nginx"
    );
    let rootless =
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container";
    assert_eq!(
        context_with(rootless, named("proxy")),
        "container:podman@alice/proxy"
    );
    let pod = ContainerFacts {
        pod: Some(PodFacts {
            namespace: "shop".to_owned(),
            name: "web-7d4b9c6f5d-x2x9z".to_owned(),
            container: Some("nginx".to_owned()),
        }),
        ..ContainerFacts::default()
    };
    for path in [
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{POD}.slice/cri-containerd-{ID}.scope",
        "/kubepods/burstable/pod{POD}/{ID}",
        "/kubepods.slice/kubepods-pod{POD}.slice/crio-{ID}.scope",
    ] {
        assert_eq!(
            context_with(path, pod.clone()),
            "pod:shop/web/nginx",
            "{path}"
        );
    }
    // Files say nothing of what is no container.
    assert_eq!(
        context_with("/system.slice/web.service", pod.clone()),
        "unit:web.service"
    );
    // A user must not pass for a pod of the host.
    assert_eq!(
        context_with(rootless, pod),
        "container:podman@alice/0123456789ab"
    );
}

#[test]
fn a_container_is_looked_for_by_its_whole_id() {
    let found = |path: &str| container_on(&path.replace("{ID}", ID).replace("{POD}", POD));
    let expected = |engine: &'static str, uid: Option<u32>| {
        Some(ContainerId {
            engine,
            id: ID.to_owned(),
            uid,
        })
    };
    assert_eq!(
        found("/system.slice/docker-{ID}.scope/init.scope"),
        expected("docker", None)
    );
    assert_eq!(
        found("/kubepods/burstable/pod{POD}/{ID}"),
        expected("kubernetes", None)
    );
    assert_eq!(
        found("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
        expected("podman", Some(1000))
    );
    for path in [
        "/",
        "/../docker-{ID}.scope",
        "/lxc.payload.web",
        "/system.slice/web.service/docker-{ID}.scope",
        "/user.slice/user-1000.slice/session-1.scope/docker-{ID}.scope",
    ] {
        assert_eq!(found(path), None, "{path}");
    }
}
