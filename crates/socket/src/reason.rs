//! Reasons why a connection or a socket ended, named as in Socket.IO where it has the same reason.

/// Why a connection ended. Handlers, logs and metrics show [`Reason::as_str`].
///
/// The reason also decides how the server ends the transport, because stock clients take from that whether to
/// reconnect:
///
/// | reason | on the wire | stock clients |
/// |---|---|---|
/// | temporary ([`Reason::is_temporary`]) | TCP ends without a close frame; polls are cut | all reconnect |
/// | a final disconnect by the server | DISCONNECT packet, then an empty close frame | stay away |
/// | a fault of the client | a close frame with a code, or a close packet | most reconnect |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client closed the connection, or it was lost.
    TransportClose,
    /// The client broke a rule of WebSocket or Engine.IO.
    TransportError,
    /// No pong came in time.
    PingTimeout,
    /// The client sent bytes that are not an Engine.IO or Socket.IO packet.
    ParseError,
    /// The client sent a message or frame over the limit.
    TooLarge,
    /// The client left this namespace. The connection may continue.
    ClientNamespaceDisconnect,
    /// The server ended this namespace for good. The stock client does not reconnect.
    ServerNamespaceDisconnect,
    /// The server closed the connection for now. The stock client reconnects.
    ForcedClose,
    /// The server is shutting down. The stock client reconnects to another node or to the next process.
    ServerShuttingDown,
    /// The client joined no namespace within `connect_timeout`.
    ConnectTimeout,
    /// The client read too slowly: a message that must not be skipped did not fit its outbox. The client
    /// reconnects and catches up.
    SlowConsumer,
    /// The server held too many unfinished bytes, and this connection was among the largest holders.
    OutOfMemory,
    /// One message took longer than `message_timeout` to arrive.
    MessageTimeout,
    /// The server refused too many packets or events of this connection.
    TooManyRefusals,
    /// The client uses a Socket.IO parser that the server does not support.
    UnsupportedParser,
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
            Reason::MessageTimeout => "message timeout",
            Reason::TooManyRefusals => "too many refusals",
            Reason::UnsupportedParser => "unsupported parser",
        }
    }

    /// The metrics label: the words joined by underscores.
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
            Reason::MessageTimeout => "message_timeout",
            Reason::TooManyRefusals => "too_many_refusals",
            Reason::UnsupportedParser => "unsupported_parser",
        }
    }

    /// Whether the end is temporary: the client should reconnect, so the transport ends without a close
    /// frame or close packet. After these, some stock clients (C++, Java, Python, Rust) do not reconnect.
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Reason::TransportClose
                | Reason::PingTimeout
                | Reason::ForcedClose
                | Reason::ServerShuttingDown
                | Reason::SlowConsumer
                | Reason::OutOfMemory
                | Reason::MessageTimeout
        )
    }

    /// Whether the client may recover its session: neither side ended it for good and the client broke no
    /// rule.
    pub const fn is_recoverable(self) -> bool {
        !matches!(
            self,
            Reason::ClientNamespaceDisconnect
                | Reason::ServerNamespaceDisconnect
                | Reason::ParseError
                | Reason::TooLarge
                | Reason::TooManyRefusals
                | Reason::UnsupportedParser
        )
    }

    /// Whether the outbox is still flushed: not if the client broke a rule, reads too slowly or is gone.
    pub(crate) const fn flushes(self) -> bool {
        self.lingers() || matches!(self, Reason::TransportClose)
    }

    /// Whether a polling session stays until the client's next GET, so that the client gets its last frames.
    pub(crate) const fn lingers(self) -> bool {
        matches!(
            self,
            Reason::ServerNamespaceDisconnect
                | Reason::ClientNamespaceDisconnect
                | Reason::ForcedClose
                | Reason::ServerShuttingDown
                | Reason::ConnectTimeout
                | Reason::TooManyRefusals
                | Reason::UnsupportedParser
        )
    }

    /// The WebSocket close code. `None` for an empty close frame.
    pub(crate) const fn close_code(self) -> Option<u16> {
        match self {
            Reason::TransportError | Reason::ParseError => Some(1002),
            Reason::UnsupportedParser => Some(1003),
            Reason::TooManyRefusals => Some(1008),
            Reason::TooLarge => Some(1009),
            _ => None,
        }
    }

    /// The text of the close frame, for the client's developer.
    pub(crate) const fn close_text(self) -> &'static str {
        match self {
            Reason::TooManyRefusals => "the server refused too many packets; check their acks and errors",
            Reason::UnsupportedParser => "unsupported parser; remove the client's `parser` option",
            _ => "",
        }
    }

    pub(crate) const ALL: [Reason; 15] = [
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
        Reason::MessageTimeout,
        Reason::TooManyRefusals,
        Reason::UnsupportedParser,
    ];
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
