//! Errors in Socket.IO packets.

/// A packet that the parser refuses. The connection must close, because the following messages cannot be
/// interpreted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// No type digit.
    #[error("a packet is empty")]
    Empty,
    /// The type is not one of 0-6.
    #[error("a packet has an unknown type")]
    UnknownType,
    /// A packet only a server may send: `CONNECT_ERROR`.
    #[error("a client must not send CONNECT_ERROR")]
    ServerOnly,
    /// A binary packet whose count is missing, malformed or 0.
    #[error("a binary packet has to announce at least one attachment, as digits and a dash")]
    AttachmentCount,
    /// More attachments announced than allowed.
    #[error("a packet announces more than {limit} attachments")]
    TooManyAttachments {
        /// The limit in attachments.
        limit: usize,
    },
    /// The attachments are longer than allowed.
    #[error("the attachments of a packet are longer than {limit} bytes")]
    AttachmentsTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A placeholder that points to no attachment of its packet.
    #[error("a placeholder points to no attachment")]
    Placeholder,
    /// The namespace is too long.
    #[error("a namespace is longer than {limit} bytes")]
    NamespaceTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// An ack id that is missing where one is needed, or beyond 2^53 - 1.
    #[error("an ack id has to be digits, at most 2^53 - 1")]
    AckId,
    /// The data is not JSON.
    #[error("the data of a packet is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The data is JSON of a form that this type of packet does not have.
    #[error("{0}")]
    Form(&'static str),
    /// An event whose name is not a string.
    #[error("an event's name has to be a string")]
    EventName,
    /// An event with a name that Socket.IO keeps for itself.
    #[error("an event must not have a reserved name")]
    Reserved,
    /// A text message where attachments were due.
    #[error("a text message came in the middle of a binary packet")]
    TextInBinary,
    /// A binary message where no attachment was due.
    #[error("a binary message came without a packet it belongs to")]
    StrayBinary,
}
