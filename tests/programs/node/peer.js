// peer.js receive SOCKET COUNT | send SOCKET COUNT | echo SOCKET | ask SOCKET COUNT OWN: the unix-dgram package in Node's
// event loop. The messages are those of messages.py; the last one is END. NODE_PATH says where the package is.
'use strict';

const assert = require('assert');
const unix = require('unix-dgram');

const END = Buffer.from('this was the last one');
const SIZES = [0, 1, 2, 3, 64, 100, 511, 1024, 1500, 4096, 4097, 8191, 8192];
const RUN = Buffer.from(Array.from({ length: 8192 + 256 }, (_, i) => i & 255));

function message(number) {
  const start = number & 255;
  const body = Buffer.from(RUN.subarray(start, start + SIZES[number % SIZES.length]));
  if (body.length >= 5) body.writeUInt32LE(number, 1);
  return body;
}

function check(data, wanted, what) {
  assert(data.equals(wanted), `${what}: ${data.length} bytes came, not the ${wanted.length} that were due`);
}

function open(listener) {
  const socket = unix.createSocket('unix_dgram', listener);
  socket.on('error', (error) => { throw error; });
  return socket;
}

// Closes a while after the last message, in which nothing else may come.
function finish(socket) {
  setTimeout(() => socket.close(), 50);
}

function receive(path, count) {
  let number = 0;
  const socket = open((data) => {
    assert(number <= count, 'something came after the last message');
    check(data, number < count ? message(number) : END, `message ${number}`);
    if (number === count) finish(socket);
    number += 1;
  });
  socket.bind(path);
}

// A connected socket tells when it is full, and when it is writable again.
function send(path, count) {
  const socket = open();
  let number = 0;
  function go() {
    let full = false;
    while (!full && number <= count) {
      socket.send(number < count ? message(number) : END, (error) => {
        if (error && error.code > 0) full = true; // "congestion"
        else if (error) throw error;
        else number += 1;
      });
    }
    if (!full) socket.close();
  }
  socket.on('writable', go);
  socket.connect(path);
  go();
}

// An unconnected one doesn't: it tries again.
function reply(socket, data, path, done) {
  socket.send(data, 0, data.length, path, (error) => {
    if (!error) done();
    else if (error.code === -11) setImmediate(reply, socket, data, path, done);
    else throw error;
  });
}

function echo(path) {
  const socket = open((data, source) => {
    reply(socket, data, source.path, () => { if (data.equals(END)) socket.close(); });
  });
  socket.bind(path);
}

function ask(path, count, own) {
  let number = 0;
  const question = () => (number < count ? message(number) : END);
  const socket = open((data) => {
    assert(number <= count, 'something came after the last answer');
    check(data, question(), `answer ${number}`);
    number += 1;
    if (number <= count) socket.send(question());
    else finish(socket);
  });
  socket.bind(own);
  socket.connect(path);
  socket.send(question());
}

const [role, path, count, own] = process.argv.slice(2);
({ receive, send, echo, ask })[role](path, Number(count), own);
