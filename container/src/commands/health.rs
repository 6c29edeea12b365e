//! `hallpass health`: asks the running server, for health checks in images without a shell.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use super::{CommandError, settings};

const DEADLINE: Duration = Duration::from_secs(3);

/// Asks `/readyz` on this machine; an error unless the answer is 200.
pub(crate) fn ask() -> Result<(), CommandError> {
    let address = reachable(settings()?.listen);
    let not_ready = |error: std::io::Error| CommandError::NotReady(format!("{address}: {error}"));
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(not_ready)?;
    stream.set_read_timeout(Some(DEADLINE)).map_err(not_ready)?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").map_err(not_ready)?;
    let mut status_line = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status_line).map_err(not_ready)?;
    match status_line.ends_with(b" 200") {
        true => Ok(()),
        false => Err(CommandError::NotReady(String::from_utf8_lossy(&status_line).into_owned())),
    }
}

/// A server on every interface is asked on this one.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    };
    SocketAddr::new(ip, listen.port())
}
