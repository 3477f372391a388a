//! Reasons why a connection or a socket ended, named as in Socket.IO where it has the same reason.

/// Why a connection ended. [`Reason::as_str`] is what handlers, logs and metrics show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client closed the connection, or it was lost.
    TransportClose,
    /// The transport broke a rule of WebSocket or Engine.IO.
    TransportError,
    /// No pong came in time.
    PingTimeout,
    /// The client sent something that is no Engine.IO or Socket.IO packet.
    ParseError,
    /// The client sent a message or frame over `max_payload`.
    TooLarge,
    /// The client left this namespace; the connection may go on.
    ClientNamespaceDisconnect,
    /// The server ended this namespace; the stock client does not reconnect by itself.
    ServerNamespaceDisconnect,
    /// The server closed the connection; the stock client reconnects.
    ForcedClose,
    /// The server is going down; the stock client reconnects, to another node or to the next process.
    ServerShuttingDown,
    /// The client joined no namespace within `connect_timeout`.
    ConnectTimeout,
    /// The client read too slowly: its outbox was full and a message that must not be skipped was due. The client
    /// reconnects and catches up.
    SlowConsumer,
    /// The process holds too many bytes of unfinished messages.
    OutOfMemory,
}

impl Reason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::TransportClose => "transport close",
            Reason::TransportError => "transport error",
            Reason::PingTimeout => "ping timeout",
            Reason::ParseError => "parse error",
            Reason::TooLarge => "payload too large",
            Reason::ClientNamespaceDisconnect => "client namespace disconnect",
            Reason::ServerNamespaceDisconnect => "server namespace disconnect",
            Reason::ForcedClose => "forced close",
            Reason::ServerShuttingDown => "server shutting down",
            Reason::ConnectTimeout => "connect timeout",
            Reason::SlowConsumer => "slow consumer",
            Reason::OutOfMemory => "out of memory",
        }
    }

    /// The label in metrics: the words with underscores.
    pub const fn label(self) -> &'static str {
        match self {
            Reason::TransportClose => "transport_close",
            Reason::TransportError => "transport_error",
            Reason::PingTimeout => "ping_timeout",
            Reason::ParseError => "parse_error",
            Reason::TooLarge => "payload_too_large",
            Reason::ClientNamespaceDisconnect => "client_namespace_disconnect",
            Reason::ServerNamespaceDisconnect => "server_namespace_disconnect",
            Reason::ForcedClose => "forced_close",
            Reason::ServerShuttingDown => "server_shutting_down",
            Reason::ConnectTimeout => "connect_timeout",
            Reason::SlowConsumer => "slow_consumer",
            Reason::OutOfMemory => "out_of_memory",
        }
    }

    /// May the client take up its session again? Not after either side has ended it, or the client broke the rules.
    pub const fn is_recoverable(self) -> bool {
        !matches!(
            self,
            Reason::ClientNamespaceDisconnect
                | Reason::ServerNamespaceDisconnect
                | Reason::ParseError
                | Reason::TooLarge
        )
    }

    /// Does the client still get what waits for it? Not if it broke the rules, reads too slowly or is gone.
    pub(crate) const fn flushes(self) -> bool {
        self.lingers() || matches!(self, Reason::TransportClose)
    }

    /// Does a session on long-polling stay until the client's next GET, so that it hears of its end?
    pub(crate) const fn lingers(self) -> bool {
        matches!(
            self,
            Reason::ServerNamespaceDisconnect
                | Reason::ClientNamespaceDisconnect
                | Reason::ForcedClose
                | Reason::ServerShuttingDown
                | Reason::ConnectTimeout
        )
    }

    /// The WebSocket close code, where the bare end says too little.
    pub(crate) const fn close_code(self) -> Option<u16> {
        match self {
            Reason::TransportError | Reason::ParseError => Some(1002),
            Reason::TooLarge => Some(1009),
            Reason::SlowConsumer | Reason::OutOfMemory => Some(1013),
            _ => None,
        }
    }

    pub(crate) const ALL: [Reason; 12] = [
        Reason::TransportClose,
        Reason::TransportError,
        Reason::PingTimeout,
        Reason::ParseError,
        Reason::TooLarge,
        Reason::ClientNamespaceDisconnect,
        Reason::ServerNamespaceDisconnect,
        Reason::ForcedClose,
        Reason::ServerShuttingDown,
        Reason::ConnectTimeout,
        Reason::SlowConsumer,
        Reason::OutOfMemory,
    ];
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
