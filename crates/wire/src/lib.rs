//! RFC 6455 frames, Engine.IO 4 and Socket.IO 5 packets, and the session state machine: no I/O, no clock.
