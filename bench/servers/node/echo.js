// An echo server, or a broadcasting one, with ws, and with bufferutil, which its
// authors recommend for speed.
'use strict';

const { createServer } = require('node:http');
const { createServer: createTlsServer } = require('node:https');
const { readFileSync } = require('node:fs');
const { parseArgs } = require('node:util');
const { WebSocketServer } = require('ws');

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    compression: { type: 'boolean', default: false },
    broadcast: { type: 'boolean', default: false },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
  },
});
const hasTls = options['tls-cert'] !== undefined;

function makeHttpServer() {
  if (!hasTls) return createServer();
  return createTlsServer({
    cert: readFileSync(options['tls-cert']),
    key: readFileSync(options['tls-key']),
  });
}

const server = makeHttpServer();
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: options.compression,
});

sockets.on('connection', (socket) => {
  socket.on('error', () => {}); // Clients leave without closing.
  socket.on('message', (message, isBinary) => {
    const receivers = options.broadcast ? sockets.clients : [socket];
    for (const receiver of receivers) receiver.send(message, { binary: isBinary });
  });
});

server.listen(Number(options.port), '127.0.0.1', () => {
  const scheme = hasTls ? 'wss' : 'ws';
  console.log(`listening on ${scheme}://127.0.0.1:${server.address().port}`);
});
