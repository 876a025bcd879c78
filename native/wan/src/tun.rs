//! TUN devices: what the kernel routes to one is read from its descriptor, packet by packet, and the other way round.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// `struct ifreq` of linux/if.h, as far as TUNSETIFF looks at it.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Declared with `int` in linux/if_tun.h, whatever it takes.
const TUNSETIFF: Opcode = opcode::write::<i32>(b'T', 202);

/// Packets of layer 3, without a header of the device's own.
const IFF_TUN: u16 = 0x0001;
const IFF_NO_PI: u16 = 0x1000;

const NAME: &[u8] = b"wan";

/// A new device of a network namespace, which this thread enters for that.
pub(crate) fn open(namespace: &str) -> io::Result<File> {
    let entered = File::open(namespace)?;
    move_into_link_name_space(entered.as_fd(), Some(LinkNameSpaceType::Network))?;
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    let mut request = Request { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    request.name[..NAME.len()].copy_from_slice(NAME);
    // SAFETY: the kernel reads one struct ifreq from the address that it gets (tun_chr_ioctl in drivers/net/tun.c) and
    // writes the name of the device to the same place, which lives until it returns.
    unsafe { ioctl(&device, Setter::<TUNSETIFF, Request>::new(request)) }?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_is_the_one_in_linux_if_tun_h() {
        assert_eq!(super::TUNSETIFF, 0x4004_54ca);
        assert_eq!(size_of::<super::Request>(), 40);
    }
}
