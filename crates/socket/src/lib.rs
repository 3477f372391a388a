//! A Socket.IO server: Engine.IO 4 and Socket.IO 5 over hyper and axum.
