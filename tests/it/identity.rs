//! Facts about a host, read from trees that look like one.
#![expect(
    clippy::unwrap_used,
    reason = "a tree that cannot be made fails the test"
)]

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, symlink},
    },
    path::Path,
};

use egress_baseline::identity::facts::{
    Accounts, boot_id, device_of, host_name, is_host_file, mount_namespace_of, network_namespaces,
    own_addresses,
};

/// A tree with the given files.
fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(tree.path(), path, content);
    }
    tree
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn link(root: &Path, path: &str, target: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    toor:x:0:0::/root:/bin/sh\n\
    # comment:x:7:7\n\
    +nis:x:8:8\n\
    broken line\n\
    nobody:x:65534:65534::/:/usr/sbin/nologin\n\
    odd:x:-1:0\n";

#[test]
fn accounts_have_their_first_name() {
    let tree = host(&[("etc/passwd", PASSWD)]);
    let mut accounts = Accounts::of_host(tree.path());
    assert_eq!(accounts.name_of(0), Some("root"));
    assert_eq!(accounts.name_of(65534), Some("nobody"));
    assert_eq!(accounts.names().len(), 2);
    for uid in [7, 8, 1000, u32::MAX] {
        assert_eq!(accounts.name_of(uid), None, "{uid}");
    }
}

#[test]
fn an_account_that_was_added_is_found() {
    let tree = host(&[("etc/passwd", PASSWD)]);
    let mut accounts = Accounts::of_host(tree.path());
    assert_eq!(accounts.name_of(1000), None);
    // As useradd does it: a new file takes the place of the old one.
    write(
        tree.path(),
        "etc/passwd+",
        &format!("{PASSWD}alice:x:1000:1000::/:/bin/sh\n"),
    );
    fs::rename(
        tree.path().join("etc/passwd+"),
        tree.path().join("etc/passwd"),
    )
    .unwrap();
    assert_eq!(accounts.name_of(1000), Some("alice"));
    fs::remove_file(tree.path().join("etc/passwd")).unwrap();
    assert_eq!(accounts.name_of(1000), Some("alice"));
}

#[test]
fn the_host_says_its_name_and_boot() {
    let tree = host(&[
        ("proc/sys/kernel/hostname", "web1\n"),
        (
            "proc/sys/kernel/random/boot_id",
            "0c2b8fca-2f6d-4f4e-9d38-3b7c1d1a2b3c\n",
        ),
    ]);
    assert_eq!(host_name(tree.path()).as_deref(), Some("web1"));
    let boot = boot_id(tree.path());
    assert_eq!(
        boot.as_deref(),
        Some("0c2b8fca-2f6d-4f4e-9d38-3b7c1d1a2b3c")
    );
}

#[test]
fn a_host_that_says_nothing_is_not_known_and_not_an_error() {
    let tree = host(&[("proc/sys/kernel/hostname", "\n")]);
    let root = tree.path();
    assert_eq!(host_name(root), None);
    assert_eq!(boot_id(root), None);
    assert_eq!(Accounts::of_host(root).name_of(0), None);
    assert_eq!(own_addresses(root, 1), None);
    assert_eq!(mount_namespace_of(root, 1), None);
    assert!(network_namespaces(&root.join("absent")).is_empty());
    assert_eq!(device_of(root, b"/usr/bin/curl"), None);
}

#[test]
fn each_network_namespace_has_one_process() {
    let tree = host(&[("proc/cpuinfo", "")]);
    for (pid, inode) in [
        (1, 4_026_531_840_u32),
        (812, 4_026_532_500),
        (90, 4_026_532_500),
    ] {
        link(
            tree.path(),
            &format!("proc/{pid}/ns/net"),
            &format!("net:[{inode}]"),
        );
    }
    link(tree.path(), "proc/33/ns/net", "nonsense");
    fs::create_dir_all(tree.path().join("proc/44")).unwrap();
    let namespaces: Vec<_> = network_namespaces(tree.path()).into_iter().collect();
    assert_eq!(namespaces, [(4_026_531_840, 1), (4_026_532_500, 90)]);
}

const TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
";

const INTERFACES: &str = "00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
short 02 40 00 80     eth0
";

#[test]
fn addresses_of_a_namespace_are_its_own_and_no_others() {
    let tree = host(&[
        ("proc/7/net/fib_trie", TRIE),
        ("proc/7/net/if_inet6", INTERFACES),
    ]);
    let addresses: Vec<_> = own_addresses(tree.path(), 7)
        .unwrap()
        .into_iter()
        .map(|address| address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"]);
}

#[test]
fn a_host_without_one_version_of_ip_still_has_its_addresses() {
    let tree = host(&[
        ("proc/7/net/fib_trie", TRIE),
        ("proc/8/net/if_inet6", INTERFACES),
    ]);
    assert_eq!(own_addresses(tree.path(), 7).unwrap().len(), 2);
    assert_eq!(own_addresses(tree.path(), 8).unwrap().len(), 2);
}

/// `/data` was mounted with `/data/inner` in it, and then hidden by another `/data`.
const MOUNTS: &str = r"1 1 0:2 / / rw - rootfs rootfs rw
22 1 0:28 / / rw,relatime shared:1 - btrfs /dev/sda2 rw
23 22 8:1 / /boot rw - ext4 /dev/sda1 rw
24 22 259:3 / /mnt/a\040b rw - xfs /dev/nvme0n1p3 rw
25 22 8:17 / /data/inner rw - ext4 /dev/sdb1 rw
26 22 8:18 / /data rw - ext4 /dev/sdb2 rw
27 26 8:19 / /data rw - ext4 /dev/sdb3 rw
nonsense
";

#[test]
fn the_device_of_a_path_is_that_of_the_mount_that_is_seen_there() {
    let tree = host(&[("proc/1/mountinfo", MOUNTS)]);
    for (path, major, minor) in [
        ("/usr/bin/curl", 0, 28),
        ("/bootstrap", 0, 28),
        ("/boot", 8, 1),
        ("/boot/efi/x", 8, 1),
        ("/mnt/a b/x", 259, 3),
        ("/data/inner/x", 8, 19),
        ("/data", 8, 19),
    ] {
        let device = device_of(tree.path(), path.as_bytes());
        assert_eq!(device, Some(major << 20 | minor), "{path}");
    }
}

#[test]
fn a_mount_table_that_makes_no_sense_ends_the_search() {
    let looping = "1 0 8:1 / / rw\n2 1 8:2 / / rw\n3 2 8:3 / / rw\n2 3 8:2 / / rw\n";
    let tree = host(&[("proc/1/mountinfo", looping)]);
    assert!(device_of(tree.path(), b"/usr").is_some());
    let tree = host(&[("proc/1/mountinfo", "1 2 8:1 / /boot rw\n")]);
    assert_eq!(device_of(tree.path(), b"/usr"), None);
}

#[test]
fn a_file_is_the_hosts_if_path_inode_and_device_agree() {
    let tree = host(&[("proc/1/mountinfo", MOUNTS), ("usr/bin/apt", "host's")]);
    let root = tree.path();
    let inode = fs::metadata(root.join("usr/bin/apt")).unwrap().ino();
    let is_host = |path: &[u8], device, inode| is_host_file(root, path, device, inode);
    assert_eq!(is_host(b"/usr/bin/apt", 28, inode), Some(true));
    assert_eq!(is_host(b"/usr/bin/apt", 28, inode + 1), Some(false));
    assert_eq!(is_host(b"/usr/bin/apt", 29, inode), Some(false));
    assert_eq!(is_host(b"/usr/bin/dpkg", 28, inode), Some(false));
    assert_eq!(is_host(b"/usr/bin/apt/x", 28, inode), Some(false));
    assert_eq!(is_host(b"/memfd:apt", 28, inode), Some(false));
    assert_eq!(is_host(b"relative", 28, inode), Some(false));
    assert_eq!(is_host(b"/usr/bin/a\0pt", 28, inode), None);
}

#[test]
fn a_link_of_the_host_is_not_the_file_that_a_process_runs() {
    let tree = host(&[("proc/1/mountinfo", MOUNTS), ("usr/bin/apt", "host's")]);
    link(tree.path(), "bin", "usr/bin");
    let inode = fs::metadata(tree.path().join("usr/bin/apt")).unwrap().ino();
    assert_eq!(
        is_host_file(tree.path(), b"/bin/apt", 28, inode),
        Some(false)
    );
}

#[test]
fn the_files_of_the_first_process_are_the_hosts() {
    let tree = host(&[
        ("proc/1/mountinfo", MOUNTS),
        ("proc/1/root/usr/bin/apt", "host's"),
        (
            "usr/bin/apt",
            "that of the container that the observer runs in",
        ),
    ]);
    let inode_of = |path: &str| fs::metadata(tree.path().join(path)).unwrap().ino();
    let of_host = inode_of("proc/1/root/usr/bin/apt");
    let of_observer = inode_of("usr/bin/apt");
    let path = b"/usr/bin/apt";
    assert_eq!(is_host_file(tree.path(), path, 28, of_host), Some(true));
    assert_eq!(
        is_host_file(tree.path(), path, 28, of_observer),
        Some(false)
    );
}

#[test]
fn a_real_executable_of_this_host_is_its_own() {
    let root = Path::new("/");
    let path = fs::canonicalize("/usr/bin/env").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let path = path.as_os_str().as_bytes();
    // The mount table of the first process is not for everybody to read.
    let is_readable = fs::read("/proc/1/mountinfo").is_ok();
    let device = device_of(root, path);
    assert_eq!(device.is_some(), is_readable);
    let device = device.unwrap_or_default();
    let is_host = is_readable.then_some(true);
    assert_eq!(is_host_file(root, path, device, inode), is_host);
    assert_eq!(is_host_file(root, path, device, inode + 1), Some(false));
}
