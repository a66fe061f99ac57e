//! Where the listening sockets come from: the process before this one, systemd, or bound here.
//! Never here: how sockets are handed over (`handover`).

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use segue_config::Settings;

use super::fault::Fault;
use crate::session::listener::listen;

/// The two sockets, had before anything else: a port in use is found at once.
pub(super) struct Sockets {
    pub mysql: TcpListener,
    pub admin: TcpListener,
}

/// The sockets, ready to accept.
pub(super) struct Listeners {
    pub mysql: tokio::net::TcpListener,
    pub admin: tokio::net::TcpListener,
}

/// Sockets that this process was given, listening already.
#[derive(Default)]
pub(super) struct Given(pub Vec<TcpListener>);

impl Given {
    /// Those of systemd's socket activation (`LISTEN_FDS`).
    pub fn by_systemd() -> Given {
        let mut passed = ListenFd::from_env();
        let mut listeners = Vec::new();
        for index in 0..passed.len() {
            match passed.take_tcp_listener(index) {
                Ok(listener) => listeners.extend(listener),
                Err(error) => tracing::warn!(index, %error, "a passed socket is of no use"),
            }
        }
        Given(listeners)
    }

    /// The one that listens on this port. The address is the giver's business: systemd's may be wider.
    fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let fits = |listener: &TcpListener| {
            listener.local_addr().is_ok_and(|local| local.port() == address.port())
        };
        let at = self.0.iter().position(fits)?;
        Some(self.0.swap_remove(at))
    }
}

impl Sockets {
    /// Given ones where they fit the settings, else new ones.
    pub fn of(settings: &Settings, mut given: Given) -> Result<Sockets, Fault> {
        let mut one = |address, key| match given.take(address) {
            Some(listener) => Ok(listener),
            None => listen(address).map_err(|error| {
                let what = format!("cannot listen on {address}: {error}");
                Fault::configuration(what, key, "stop what uses the port, or choose another one")
            }),
        };
        let sockets = Sockets {
            mysql: one(settings.listen.mysql, "[listen] mysql")?,
            admin: one(settings.listen.admin, "[listen] admin")?,
        };
        for unused in &given.0 {
            let address = unused.local_addr().map(|address| address.to_string());
            let address = address.unwrap_or_default();
            tracing::warn!(address, "a socket that was handed over fits no setting and is closed");
        }
        for listener in [&sockets.mysql, &sockets.admin] {
            listener.set_nonblocking(true).map_err(unusable)?;
        }
        Ok(sockets)
    }

    /// The same sockets for this process's runtime.
    pub fn listen(&self) -> Result<Listeners, Fault> {
        let one = |socket: &TcpListener| {
            socket.try_clone().and_then(tokio::net::TcpListener::from_std).map_err(unusable)
        };
        Ok(Listeners { mysql: one(&self.mysql)?, admin: one(&self.admin)? })
    }
}

/// A socket that cannot be worked with.
pub(super) fn unusable(error: std::io::Error) -> Fault {
    Fault::configuration(format!("a listening socket cannot be used: {error}"), "[listen]", "")
}
