//! The proof that nothing sent from here can leave the machine.
#![expect(
    unsafe_code,
    reason = "devices tell their driver through an ioctl only"
)]

use std::{
    fs, io,
    marker::PhantomData,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::PathBuf,
};

use rustix::net::{AddressFamily, SocketType, socket};

/// Drivers of devices that end inside the machine.
const INNER_DRIVERS: [&str; 3] = ["veth", "dummy", "bridge"];

/// Devices that some kernels put into every new namespace; harmless while they are down.
const DEFAULT_DEVICES: [&str; 9] = [
    "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0",
];

/// The routing flag of `/proc/net/route` and `/proc/net/ipv6_route` for a hop over a gateway.
const ROUTE_HAS_GATEWAY: u64 = 0x2;
/// The routing flag for a route that refuses.
const ROUTE_REJECTS: u64 = 0x200;

/// The calling thread is in a network namespace that is not that of pid 1, has neither a default
/// route nor a gateway, and holds no device that could lead out of the machine.
///
/// It is a fact about one thread, since each thread may be in a namespace of its own: it cannot be
/// sent to another.
#[derive(Debug)]
pub struct Isolation {
    _of_this_thread: PhantomData<*const ()>,
}

/// Why nothing may be sent from here.
#[derive(Debug, thiserror::Error)]
pub enum NotIsolated {
    /// It is the namespace of the machine itself.
    #[error("this is the network namespace of pid 1")]
    HostNamespace,
    /// A device may lead out.
    #[error("device `{device}` ({driver}) may lead out of the machine")]
    Device {
        /// Its name.
        device: String,
        /// Its driver, or why that is not known.
        driver: String,
    },
    /// A route may lead out.
    #[error("a route leads elsewhere: `{0}`")]
    Route(String),
    /// It cannot be told.
    #[error("read {}: {cause}", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl Isolation {
    /// Proves it of the calling thread, or says what is in the way.
    pub fn prove() -> Result<Self, NotIsolated> {
        if is_namespace_of_first_process()? {
            return Err(NotIsolated::HostNamespace);
        }
        let devices = read("/proc/thread-self/net/dev")?;
        for device in devices_listed(&devices) {
            prove_inner(device)?;
        }
        // A kernel without IPv6 has no IPv6 routes.
        let routes6 = fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default();
        let routes4 = read("/proc/thread-self/net/route")?;
        match outward_route4(&routes4).or_else(|| outward_route6(&routes6)) {
            Some(route) => Err(NotIsolated::Route(route.trim().to_owned())),
            None => Ok(Self {
                _of_this_thread: PhantomData,
            }),
        }
    }
}

/// Compares the inodes of a file that each network namespace has of its own: unlike the links in
/// `/proc/1/ns`, it can be looked at by everyone, and where pid 1 hides from root as well.
fn is_namespace_of_first_process() -> Result<bool, NotIsolated> {
    let inode = |path: &str| {
        fs::metadata(path)
            .map(|metadata| metadata.ino())
            .map_err(|cause| NotIsolated::Unreadable {
                path: path.into(),
                cause,
            })
    };
    Ok(inode("/proc/thread-self/net/dev")? == inode("/proc/1/net/dev")?)
}

fn read(path: &str) -> Result<String, NotIsolated> {
    fs::read_to_string(path).map_err(|cause| NotIsolated::Unreadable {
        path: path.into(),
        cause,
    })
}

fn devices_listed(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .skip(2)
        .filter_map(|line| Some(line.rsplit_once(':')?.0.trim()))
}

fn prove_inner(device: &str) -> Result<(), NotIsolated> {
    let refused = |driver: String| NotIsolated::Device {
        device: device.to_owned(),
        driver,
    };
    let control = socket(AddressFamily::INET, SocketType::DGRAM, None)
        .map_err(|cause| refused(cause.to_string()))?;
    let flags = device_flags(&control, device).map_err(|cause| refused(cause.to_string()))?;
    if flags & libc::IFF_LOOPBACK != 0
        || (flags & libc::IFF_UP == 0 && DEFAULT_DEVICES.contains(&device))
    {
        return Ok(());
    }
    let driver = device_driver(&control, device).map_err(|cause| refused(cause.to_string()))?;
    if INNER_DRIVERS.contains(&driver.as_str()) {
        return Ok(());
    }
    Err(refused(driver))
}

/// The line of a route to everywhere or over a gateway, if there is one.
fn outward_route4(text: &str) -> Option<&str> {
    text.lines().skip(1).find(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| {
            fields
                .get(at)
                .and_then(|text| u64::from_str_radix(text, 16).ok())
        };
        match (number(3), number(7)) {
            (Some(flags), Some(mask)) => {
                flags & ROUTE_REJECTS == 0 && (flags & ROUTE_HAS_GATEWAY != 0 || mask == 0)
            }
            _ => true,
        }
    })
}

/// As [`outward_route4`]; the kernel lists a refusing default route of its own on `lo`.
fn outward_route6(text: &str) -> Option<&str> {
    text.lines().find(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| {
            fields
                .get(at)
                .and_then(|text| u64::from_str_radix(text, 16).ok())
        };
        match (number(1), number(8)) {
            (Some(length), Some(flags)) => {
                flags & ROUTE_REJECTS == 0 && (flags & ROUTE_HAS_GATEWAY != 0 || length == 0)
            }
            _ => true,
        }
    })
}

fn interface_request(device: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if device.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *slot = byte.cast_signed();
    }
    Ok(request)
}

fn device_flags(control: &OwnedFd, device: &str) -> io::Result<i32> {
    let mut request = interface_request(device)?;
    // SAFETY: the kernel reads and writes one `ifreq`, which outlives the call.
    if unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: SIOCGIFFLAGS has filled this member.
    Ok(i32::from(unsafe { request.ifr_ifru.ifru_flags }))
}

/// The beginning of the kernel's `struct ethtool_drvinfo`, and room for the rest of it.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

const ETHTOOL_GDRVINFO: u32 = 3;

fn device_driver(control: &OwnedFd, device: &str) -> io::Result<String> {
    let mut info = DriverInfo {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    let mut request = interface_request(device)?;
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: ETHTOOL_GDRVINFO writes the 196 bytes of `DriverInfo`, which outlives the call.
    if unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let name = info.driver.split(|byte| *byte == 0).next().unwrap_or(&[]);
    Ok(String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Isolation, NotIsolated, devices_listed, outward_route4, outward_route6};

    #[test]
    fn the_namespace_of_the_machine_is_refused() {
        assert!(matches!(
            Isolation::prove(),
            Err(NotIsolated::HostNamespace)
        ));
    }

    #[test]
    fn a_default_route_or_a_gateway_is_refused() {
        let header = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
        let own = "v0 00004D0A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        let default = "v0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n";
        let half = "v0 00000000 0100000A 0003 0 0 0 00000080 0 0 0\n";
        let on_link_default = "v0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n";
        assert_eq!(outward_route4(&format!("{header}{own}")), None);
        for outward in [default, half, on_link_default] {
            assert!(outward_route4(&format!("{header}{own}{outward}")).is_some());
        }
    }

    #[test]
    fn the_refusing_default_route_of_ipv6_is_no_way_out() {
        let zero = "00000000000000000000000000000000";
        let refusing =
            format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n");
        let default =
            format!("{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000001       v0\n");
        assert_eq!(outward_route6(&refusing), None);
        assert!(outward_route6(&format!("{refusing}{default}")).is_some());
    }

    #[test]
    fn device_names_are_read() {
        let text = "Inter-| Receive\n face |bytes\n    lo: 0 0\nv:0: 1 2\n";
        assert_eq!(devices_listed(text).collect::<Vec<_>>(), ["lo", "v:0"]);
    }
}
