use super::{context_of, slice_uid_of};
use crate::model::{RawIdentity, text_of_bytes};
use proptest::prelude::{any, proptest};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER_ID: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const POD: &str = "7f9a1c1e_4f0e_4bd1_9a1e_0d6b5b1f2a3c";

/// The context of a process of bob in a cgroup; user 1000 is alice.
fn context(path: &str) -> String {
    let path = path
        .replace("{ID}", ID)
        .replace("{OTHER}", OTHER_ID)
        .replace("{POD}", POD);
    context_of(&RawIdentity {
        slice_user: (slice_uid_of(&path) == Some(1000)).then(|| "alice".to_owned()),
        user: Some("bob".to_owned()),
        uid: Some(1001),
        exe: Some("/usr/bin/curl".to_owned()),
        cgroup_path: Some(text_of_bytes(path.as_bytes())),
        ..RawIdentity::default()
    })
    .as_str()
    .to_owned()
}

// Paths are those of systemd 252 and 257, cronie 1.7, OpenRC 0.54, Docker 24 and 27, Podman 4.9 and
// 5.2, containerd 1.7, nerdctl 1.7, CRI-O 1.28, Kubernetes 1.28 (both cgroup drivers), kind 0.20,
// k3s 1.28, LXC 5 and Incus 6, libvirt 9.

/// Each line of `table` holds a path, an arrow, and the context that is to come of it.
fn assert_contexts(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, expected) = line.split_once(" -> ").unwrap();
        assert_eq!(context(path), expected, "{path}");
    }
}

#[test]
fn units_are_named_without_instances_and_counters() {
    assert_contexts(
        r"
        /system.slice/nginx.service -> unit:nginx.service
        /init.scope -> unit:init.scope
        /system.slice/system-getty.slice/getty@tty1.service -> unit:getty@.service
        /system.slice/system-sshd.slice/sshd@3-10.0.0.1:22-10.0.0.9:4711.service -> unit:sshd@.service
        /system.slice/ssh.socket -> unit:ssh.socket
        /system.slice/_cpu.service -> unit:cpu.service
        /system.slice/dbus-:1.42-org.example.Helper@0.service -> unit:dbus-*-org.example.Helper@.service
        /system.slice/run-u123.service -> unit:run-*.service
        /system.slice/run-p4711-i4712.service -> unit:run-*.service
        /system.slice/run-r0123456789abcdef0123456789abcdef.scope -> unit:run-*.scope
        /system.slice/run-4711.scope -> unit:run-*.scope
        /system.slice/run-parts.service -> unit:run-parts.service
        /system.slice/web-2.service -> unit:web-2.service
        /system.slice/system-systemd\x2dfsck.slice/systemd-fsck@dev-sda1.service -> unit:systemd-fsck@.service
        /system.slice/foo\x2dbar.service -> unit:foo\x2dbar.service
        /system.slice/systemd-udevd.service/udev -> unit:systemd-udevd.service
        /top.service -> unit:top.service
        /system.slice/apt-daily.service -> unit:apt-daily.service
        /system.slice/system-backup.slice/backup@daily.service -> unit:backup@.service
        /system.slice/cron-alice-alice-0.service -> unit:cron-alice-alice-0.service
        /openrc.nginx -> unit:nginx.service
        /system.slice/openrc.nginx -> none
        /user.slice/user-1000.slice/user-runtime-dir@1000.service -> unit:user-runtime-dir@.service
        /machine.slice/machine-qemu\x2d7\x2dweb.scope/libvirt/emulator -> unit:machine-qemu\x2d*\x2dweb.scope
        /machine.slice/libpod-conmon-{ID}.scope -> unit:libpod-conmon-*.scope
        /machine.slice/machine-web.scope/supervisor -> unit:machine-web.scope
        /machine.slice/systemd-nspawn@web.service/supervisor -> unit:systemd-nspawn@.service
    ",
    );
}

#[test]
fn user_units_and_sessions_bear_the_user_of_the_slice() {
    assert_contexts(
        r"
        /user.slice/user-1000.slice/session-12.scope -> session:alice
        /user.slice/user-1000.slice/session-c2.scope -> session:alice
        /user.slice/user-0.slice/session-1.scope -> session:0
        /user.slice/user-1000.slice/user@1000.service/app.slice/sync.service -> user-unit:alice:sync.service
        /user.slice/user-1000.slice/user@1000.service/init.scope -> user-unit:alice:init.scope
        /user.slice/user-1007.slice/user@1007.service/app.slice/sync.service -> user-unit:1007:sync.service
        /user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-2345.scope -> user-unit:alice:app-gnome-firefox-*.scope
        /user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox@0a1b2c.service -> user-unit:alice:app-firefox@.service
        /user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-0c2b8fca-2f6d-4f4e-9d38-3b7c1d1a2b3c.scope -> user-unit:alice:vte-spawn-*.scope
        /user.slice/user-1000.slice/user@1000.service/app.slice/snap.firefox.firefox-0c2b8fca-2f6d-4f4e-9d38-3b7c1d1a2b3c.scope -> user-unit:alice:snap.firefox.firefox-*.scope
        /user.slice/user-1000.slice/user@1000.service -> user-unit:alice:user@.service
        /user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.mozilla.firefox-4711.scope -> user-unit:alice:app-flatpak-org.mozilla.firefox-*.scope
        /user.slice/user-1000.slice/user@1000.service/app.slice/app-org.kde.konsole-2f6d4f4e9d383b7c1d1a2b3c0c2b8fca.scope -> user-unit:alice:app-org.kde.konsole-*.scope
        /user.slice/user-1000.slice/user@1000.service/app.slice/app-dbus\x2d:1.42\x2dorg.example.Helper.slice/dbus-:1.42-org.example.Helper@0.service -> user-unit:alice:dbus-*-org.example.Helper@.service
        /user.slice/user-1000.slice/user@1000.service/app.slice/app-backup@autostart.service -> user-unit:alice:app-backup@.service
        /user.slice/user-1000.slice/user@1000.service/tmux-spawn-0c2b8fca-2f6d-4f4e-9d38-3b7c1d1a2b3c.scope -> user-unit:alice:tmux-spawn-*.scope
        /user.slice/user-1000.slice/user@1000.service/app.slice/run-r0123456789abcdef0123456789abcdef.scope -> user-unit:alice:run-*.scope
        /user.slice/user-1000.slice/user@1000.service/app.slice/run-u42.service -> user-unit:alice:run-*.service
        /user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service -> user-unit:alice:pipewire.service
        /user.slice/user-1000.slice/user@1000.service/background.slice/sync-photos.service -> user-unit:alice:sync-photos.service
    ",
    );
}

#[test]
fn containers_are_named_by_engine_and_short_id() {
    assert_contexts(
        r"
        /system.slice/docker-{ID}.scope -> container:docker/0123456789ab
        /docker/{ID} -> container:docker/0123456789ab
        /docker/buildkit/c0ffee0r4nd0m -> container:docker/buildkit
        /system.slice/snap.docker.dockerd.service/docker/{ID} -> container:docker/0123456789ab
        /default/{ID} -> container:containerd/0123456789ab
        /system.slice/nerdctl-{ID}.scope -> container:containerd/0123456789ab
        /system.slice/k3s.service/kubepods/burstable/pod{POD}/{ID} -> container:kubernetes/0123456789ab
        /system.slice/docker-{ID}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD}.slice/cri-containerd-{OTHER}.scope -> container:docker/0123456789ab
        /docker/{ID}/kubepods/besteffort/pod{POD}/{OTHER} -> container:docker/0123456789ab
        /system.slice/containerd.service/kubepods-burstable-pod{POD}.slice:cri-containerd:{ID} -> container:containerd/0123456789ab
        /machine.slice/libpod-{ID}.scope/container -> container:podman/0123456789ab
        /machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope -> container:podman/0123456789ab
        /libpod_parent/libpod-{ID} -> container:podman/0123456789ab
        /system.slice/web.service/libpod-payload-{ID} -> unit:web.service
        /user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-{ID} -> user-unit:alice:web.service
        /user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{OTHER}.slice/libpod-{ID}.scope/container -> container:podman@alice/0123456789ab
        /shop.slice/docker-{ID}.scope -> container:docker/0123456789ab
        /kubepods/burstable/pod{POD}/crio-{ID} -> container:cri-o/0123456789ab
        /user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container -> container:podman@alice/0123456789ab
        /user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope -> container:docker@alice/0123456789ab
        /user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-{ID}.scope -> user-unit:alice:libpod-conmon-*.scope
        /kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{POD}.slice/cri-containerd-{ID}.scope -> container:containerd/0123456789ab
        /kubepods.slice/kubepods-pod{POD}.slice/crio-{ID}.scope/container -> container:cri-o/0123456789ab
        /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}.slice/docker-{ID}.scope -> container:docker/0123456789ab
        /kubepods/burstable/pod{POD}/{ID} -> container:kubernetes/0123456789ab
        /kubepods/pod{POD}/cri-containerd-{ID} -> container:containerd/0123456789ab
        /kubelet/kubepods/besteffort/pod{POD}/{ID} -> container:kubernetes/0123456789ab
        /kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD}.slice/{ID} -> container:kubernetes/0123456789ab
        /lxc.payload.web/system.slice/nginx.service -> container:lxc/web
        /lxc/101/ns/init.scope -> container:lxc/101
        /lxc.payload.shop_web/system.slice/nginx.service -> container:lxc/shop_web
        /machine.slice/machine-web.scope/payload/system.slice/nginx.service -> container:nspawn/web
        /machine.slice/systemd-nspawn@web.service/payload/init.scope -> container:nspawn/web
        /machine.slice/machine-shop\x2dweb.scope/payload/init.scope -> container:nspawn/shop-web
        /machine.slice/machine-web\x2d0a1b2c3d4e5f6071.scope/payload -> container:nspawn/web
        /machine.slice/systemd-nspawn@shop-web.service/payload -> container:nspawn/shop-web
    ",
    );
}

#[test]
fn jobs_of_cron_and_at_belong_to_their_user() {
    // Debian 12, Red Hat, Arch and SUSE; anacron of Debian and of cronie; OpenRC.
    for unit in [
        "cron",
        "crond",
        "cronie",
        "anacron",
        "cronie-anacron",
        "fcron",
    ] {
        assert_eq!(
            context(&format!("/system.slice/{unit}.service")),
            "cron:bob"
        );
    }
    assert_eq!(context("/system.slice/atd.service"), "at:bob");
    assert_eq!(context("/openrc.cronie"), "cron:bob");
    assert_eq!(context("/openrc.dcron"), "cron:bob");
    let nameless = RawIdentity {
        uid: Some(1001),
        cgroup_path: Some("/system.slice/cron.service".to_owned()),
        ..RawIdentity::default()
    };
    assert_eq!(context_of(&nameless).as_str(), "cron:1001");
}

#[test]
fn a_service_cannot_pose_as_another_by_naming_its_own_cgroups() {
    assert_contexts(
        r"
        /system.slice/evil.service/docker-{ID}.scope -> unit:evil.service
        /system.slice/evil.service/system.slice/nginx.service -> unit:evil.service
        /system.slice/evil.service/payload -> unit:evil.service
        /system.slice/docker-{ID}.scope/docker-{OTHER}.scope -> container:docker/0123456789ab
        /docker/{ID}/docker/{OTHER} -> container:docker/0123456789ab
        /user.slice/user-1000.slice/session-3.scope/user@1000.service/app.slice/sync.service -> session:alice
        /user.slice/user-1000.slice/user@1000.service/evil/docker-{ID}.scope -> user-unit:alice:user@.service
        /user.slice/user-1000.slice/user@1000.service/evil.slice/docker-{ID}.scope -> container:docker@alice/0123456789ab
        /user.slice/user-1000.slice/user@1000.service/user.slice/user-1001.slice/session-1.scope -> user-unit:alice:session-*.scope
        /user.slice/user-1000.slice/user@1000.service/system.slice/cron.service -> user-unit:alice:cron.service
        /user.slice/user-1000.slice/user@1001.service/app.slice/sync.service -> unit:user@.service
    ",
    );
}

#[test]
fn what_is_no_unit_and_no_container_is_none() {
    assert_contexts(
        r"
        / -> none
        /// -> none
        /system.slice -> none
        /user.slice/user-1000.slice -> none
        /docker -> none
        /docker/short -> none
        /docker/é123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde -> none
        /../system.slice/nginx.service -> none
        /mygroup/sub -> none
        /lxc.monitor.web -> none
        /system.slice/.service -> none
        /kubepods/burstable/pod1 -> none
    ",
    );
    assert_eq!(context(""), "none");
    assert_eq!(context("/system.slice/bad\nname.service"), "none");
    let invalid = RawIdentity {
        cgroup_path: Some(text_of_bytes(b"/system.slice/\xff.service")),
        ..RawIdentity::default()
    };
    assert_eq!(context_of(&invalid).as_str(), "none");
}

#[test]
fn the_user_of_a_slice_is_read_at_the_top_only() {
    assert_eq!(
        slice_uid_of("/user.slice/user-1000.slice/session-1.scope"),
        Some(1000)
    );
    assert_eq!(slice_uid_of("/user.slice/user-x.slice"), None);
    assert_eq!(
        slice_uid_of("/evil/user.slice/user-0.slice/session-1.scope"),
        None
    );
    assert_eq!(slice_uid_of("/user.slice"), None);
}

proptest! {
    #[test]
    fn any_path_has_a_context(path in "(/(user|user-1000|lxc|docker|kubepods|session-|machine-|run-|@|é|\\\\x2d|\\.slice|\\.scope|\\.service|:|-|[0-9a-f]{64}|\\PC){0,4}){0,6}") {
        assert!(!context(&path).is_empty());
    }

    #[test]
    fn any_bytes_have_a_context(bytes in any::<Vec<u8>>()) {
        assert!(!context(&text_of_bytes(&bytes)).is_empty());
    }

    #[test]
    fn a_user_never_leaves_its_own_contexts(below in "(/[-@:.a-z0-9\\\\]{0,12}(\\.slice|\\.scope|\\.service)?){0,4}") {
        let path = format!("/user.slice/user-1000.slice/user@1000.service{below}");
        let found = context(&path);
        assert!(found.starts_with("user-unit:alice:") || found.contains("@alice/") || below.contains("/.."), "{found}");
    }
}
