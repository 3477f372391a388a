//! The floor: the least possible cost of sending each client its own bytes. One thread, one epoll, ready
//! frames, raw `write`s; no parser, no limits, no heartbeats. It works with this loader only.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use memchr::memmem;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustix::event::{PollFd, PollFlags};

use crate::error::BenchError;
use crate::loader::frame;

const LISTENER: Token = Token(usize::MAX);
const SENT: &[u8] = b"[\"chat:send_message\",";

struct Client {
    stream: TcpStream,
    open: bool,
    partial: Vec<u8>,
}

struct Floor {
    batched: bool,
    poll: Poll,
    clients: Vec<Option<Client>>,
    room_numbers: HashMap<Vec<u8>, usize>,
    rooms: Vec<Room>,
    /// Rooms with waiting frames.
    dirty: Vec<usize>,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// Frames of this turn that are not written yet.
    waiting: Vec<u8>,
}

/// Serves until the process is killed. With `batched`, the frames of an epoll turn leave in one write per
/// member.
pub(crate) fn serve(port: u16, batched: bool) -> Result<(), BenchError> {
    let mut listener =
        TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).map_err(BenchError::Floor)?;
    let poll = Poll::new().map_err(BenchError::Floor)?;
    let registered = poll
        .registry()
        .register(&mut listener, LISTENER, Interest::READABLE);
    registered.map_err(BenchError::Floor)?;
    let mut floor = Floor {
        batched,
        poll,
        clients: Vec::new(),
        room_numbers: HashMap::new(),
        rooms: Vec::new(),
        dirty: Vec::new(),
    };
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(BenchError::Floor(error)),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener).map_err(BenchError::Floor)?,
                Token(client) => floor.read(client, &mut buffer),
            }
        }
        floor.flush();
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let token = Token(self.clients.len());
            self.poll
                .registry()
                .register(&mut stream, token, Interest::READABLE)?;
            self.clients.push(Some(Client {
                stream,
                open: false,
                partial: Vec::new(),
            }));
        }
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(client) = self.clients[index].as_mut() else {
            return;
        };
        match client.stream.read(buffer) {
            Ok(size) if size > 0 => client.partial.extend(&buffer[..size]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => {
                self.clients[index] = None;
                return;
            }
        }
        if !client.open {
            let Some(end) = memmem::find(&client.partial, b"\r\n\r\n") else {
                return;
            };
            client.partial.drain(..end + 4);
            client.open = true;
            let mut answer =
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                    .to_vec();
            answer.extend(frame::unmasked_text(b"0{\"sid\":\"floor\"}"));
            write_all(&mut client.stream, &answer);
        }
        let mut bytes = std::mem::take(&mut client.partial);
        let mut used = 0;
        while let Some((packet, size)) = frame::first_masked(&bytes[used..]) {
            used += size;
            self.take(index, &packet);
        }
        bytes.drain(..used);
        if let Some(client) = self.clients[index].as_mut() {
            client.partial = bytes;
        }
    }

    fn take(&mut self, index: usize, packet: &[u8]) {
        if packet.starts_with(b"40") {
            return self.answer(index, b"40{\"sid\":\"floor\"}");
        }
        let Some(event) = packet.strip_prefix(b"42") else {
            return;
        };
        let room = memmem::find(event, b"\"room\":\"").map_or(&[][..], |start| &event[start + 8..]);
        let room = &room[..memchr::memchr(b'"', room).unwrap_or(0)];
        if event.starts_with(SENT) {
            let ready = [b"42[\"chat:receive_message\",", &event[SENT.len()..]].concat();
            if let Some(&number) = self.room_numbers.get(room) {
                if self.rooms[number].waiting.is_empty() {
                    self.dirty.push(number);
                }
                self.rooms[number].waiting.extend(frame::unmasked_text(&ready));
            }
            if !self.batched {
                self.flush();
            }
            return;
        }
        let next = self.rooms.len();
        let number = *self.room_numbers.entry(room.to_vec()).or_insert(next);
        if number == next {
            self.rooms.push(Room::default());
        }
        self.rooms[number].members.push(index);
        let digits = event.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let answer = [b"43", &event[..digits], b"[{\"ok\":true}]"].concat();
        self.answer(index, &answer);
    }

    fn answer(&mut self, index: usize, packet: &[u8]) {
        if let Some(client) = self.clients[index].as_mut() {
            write_all(&mut client.stream, &frame::unmasked_text(packet));
        }
    }

    /// Writes the waiting frames of all rooms to their members.
    fn flush(&mut self) {
        for number in self.dirty.drain(..) {
            let room = &mut self.rooms[number];
            for &member in &room.members {
                if let Some(client) = self.clients[member].as_mut() {
                    write_all(&mut client.stream, &room.waiting);
                }
            }
            room.waiting.clear();
        }
    }
}

/// Blocks if the client is slow: the floor has no queues. It notices a lost client when it reads.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = rustix::event::poll(&mut [PollFd::new(stream, PollFlags::OUT)], None);
            }
            Err(_) => return,
        }
    }
}
