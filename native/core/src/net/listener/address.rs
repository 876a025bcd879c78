//! Binding the listening socket, with errors that name the port.

use crate::error::CoreError;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

/// Scans come in bursts; a full queue would make the peer that we wait for try again after a second.
const BACKLOG: i32 = 1024;

/// `::` takes IPv4 as well, and falls back to it where the kernel has no IPv6.
pub(super) fn open(host: &str, port: u16) -> Result<(OwnedFd, u16), CoreError> {
    let addresses = resolve(host, port)?;
    let mut last = Errno::ADDRNOTAVAIL;
    for address in addresses {
        match listen(address) {
            Ok(fd) => {
                let port = bound_port(&fd).unwrap_or(port);
                return Ok((fd, port));
            }
            Err(error) => last = error,
        }
    }
    Err(explain(last, host, port))
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, CoreError> {
    let any6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match host.parse::<IpAddr>() {
        Ok(ip) if ip == any6 => {
            Ok(vec![SocketAddr::new(any6, port), SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)])
        }
        Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
        Err(_) => match (host, port).to_socket_addrs() {
            Ok(found) => Ok(found.collect()),
            Err(_) => Err(CoreError::network(format!("The address to listen on, {host}, does not resolve."))),
        },
    }
}

fn listen(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if address.is_ipv6() {
        let everything = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        sockopt::set_ipv6_v6only(&fd, !everything)?;
    }
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(fd)
}

fn bound_port(fd: &OwnedFd) -> Option<u16> {
    let any = rustix::net::getsockname(fd).ok()?;
    SocketAddr::try_from(any).ok().map(|a| a.port())
}

fn explain(error: Errno, host: &str, port: u16) -> CoreError {
    let message = match error {
        Errno::ADDRINUSE => format!("Port {port} on {host} is in use by another program."),
        Errno::ACCESS => format!("Listening on port {port} needs a privilege that is not there."),
        Errno::ADDRNOTAVAIL => format!("This machine has no address {host} to listen on."),
        other => format!("Cannot listen on port {port} of {host}: {other}."),
    };
    CoreError::network(message).with_errno(Some(error.raw_os_error()))
}
