//! peer receive SOCKET COUNT | send SOCKET COUNT | echo SOCKET | ask SOCKET COUNT OWN: the standard library's UnixDatagram,
//! blocking, and with read timeouts in "ask" and "receive". The messages are those of messages.py; the last one is END.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const END: &[u8] = b"this was the last one";
const SIZES: [usize; 13] = [0, 1, 2, 3, 64, 100, 511, 1024, 1500, 4096, 4097, 8191, 8192];

fn message(number: u32) -> Vec<u8> {
    let size = SIZES[number as usize % SIZES.len()];
    let mut body: Vec<u8> = (0..size).map(|i| (number as usize + i) as u8).collect();
    if size >= 5 {
        body[1..5].copy_from_slice(&number.to_le_bytes());
    }
    body
}

fn expect_nothing_more(socket: &UnixDatagram) {
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let error = socket.recv(&mut [0; 64]).expect_err("something came after the last message");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

fn receive(path: &str, count: u32) {
    let socket = UnixDatagram::bind(path).unwrap();
    let mut room = vec![0; 16384];
    for number in 0..count {
        // Every other wait is one with a limit.
        let limit = if number % 2 == 0 { None } else { Some(Duration::from_secs(20)) };
        socket.set_read_timeout(limit).unwrap();
        let size = socket.recv(&mut room).unwrap();
        assert!(room[..size] == message(number), "message {} is wrong: {} bytes", number, size);
    }
    let size = socket.recv(&mut room).unwrap();
    assert_eq!(&room[..size], END);
    expect_nothing_more(&socket);
}

fn send(path: &str, count: u32) {
    let socket = UnixDatagram::unbound().unwrap();
    for number in 0..count {
        let body = message(number);
        assert_eq!(socket.send_to(&body, path).unwrap(), body.len());
    }
    socket.send_to(END, path).unwrap();
}

fn echo(path: &str) {
    let socket = UnixDatagram::bind(path).unwrap();
    let mut room = vec![0; 16384];
    loop {
        let (size, source) = socket.recv_from(&mut room).unwrap();
        socket.send_to(&room[..size], source.as_pathname().expect("a sender without a name")).unwrap();
        if &room[..size] == END {
            return;
        }
    }
}

fn ask(path: &str, count: u32, own: &str) {
    let socket = UnixDatagram::bind(own).unwrap();
    socket.connect(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut room = vec![0; 16384];
    for number in 0..count {
        socket.send(&message(number)).unwrap();
        let size = socket.recv(&mut room).unwrap();
        assert!(room[..size] == message(number), "answer {} is wrong: {} bytes", number, size);
    }
    socket.send(END).unwrap();
    let size = socket.recv(&mut room).unwrap();
    assert_eq!(&room[..size], END);
    expect_nothing_more(&socket);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let path = &arguments[2];
    let count = || arguments[3].parse().unwrap();
    match arguments[1].as_str() {
        "receive" => receive(path, count()),
        "send" => send(path, count()),
        "echo" => echo(path),
        "ask" => ask(path, count(), &arguments[4]),
        role => panic!("no such role: {}", role),
    }
}
