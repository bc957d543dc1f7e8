//! What is known of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

/// The program at the other end, as it called itself in ApiVersions (KIP-511).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientSoftware {
    pub name: Box<str>,
    pub version: Box<str>,
}

type AtClose = Box<dyn FnOnce() + Send>;

/// A connection; it ends when the last reference to it goes.
pub(crate) struct ConnectionInfo {
    pub peer: SocketAddr,
    /// The name of the listener it came in on.
    pub listener: Arc<str>,
    software: ArcSwapOption<ClientSoftware>,
    at_close: Mutex<Option<AtClose>>,
}

impl ConnectionInfo {
    pub(crate) fn new(peer: SocketAddr, listener: Arc<str>) -> Self {
        Self { peer, listener, software: ArcSwapOption::empty(), at_close: Mutex::default() }
    }

    /// What the node asks itself comes from no socket.
    pub(crate) fn local() -> Self {
        Self::new(SocketAddr::from(([127, 0, 0, 1], 0)), "".into())
    }

    /// `None` before the first ApiVersions.
    pub(crate) fn software(&self) -> Option<Arc<ClientSoftware>> {
        self.software.load_full()
    }

    pub(crate) fn set_software(&self, software: ClientSoftware) {
        self.software.store(Some(Arc::new(software)));
    }

    /// Has `act` done when the connection ends; who asked for something before asks no more.
    pub(crate) fn at_close(&self, act: impl FnOnce() + Send + 'static) {
        *self.at_close.lock() = Some(Box::new(act));
    }
}

impl Drop for ConnectionInfo {
    fn drop(&mut self) {
        if let Some(act) = self.at_close.get_mut().take() {
            act();
        }
    }
}

impl std::fmt::Debug for ConnectionInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionInfo").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_last_wish_is_granted_at_the_end() {
        let info = ConnectionInfo::new("127.0.0.1:1".parse().expect("is one"), Arc::from("L"));
        let done = Arc::new(AtomicUsize::new(0));
        for wish in [1, 2] {
            let done = Arc::clone(&done);
            info.at_close(move || {
                done.fetch_add(wish, Ordering::Relaxed);
            });
        }
        assert_eq!(done.load(Ordering::Relaxed), 0);
        drop(info);
        assert_eq!(done.load(Ordering::Relaxed), 2);
    }
}
