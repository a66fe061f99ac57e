//! The listening sockets.
//! Never here: accepting.

use std::io;
use std::net::{SocketAddr, TcpListener};

use segue_config::limits;
use socket2::{Domain, Socket, Type};

/// Binds and listens. Not with SO_REUSEPORT: a second process on the same port by mistake would get a
/// part of the clients, and connections that wait for a socket that closes would be reset. A restart
/// hands the socket itself over.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of an earlier process in TIME_WAIT do not hold the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused() {
        let first = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let taken = first.local_addr().unwrap();
        assert_eq!(listen(taken).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        listen(taken).unwrap();
    }
}
