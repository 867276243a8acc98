// npm ws as server, on a free port; over TLS when given the files of a certificate
// and its key. What it does on a connection stands in the query of the request:
//
//   options=JSON         options of WebSocketServer, perMessageDeflate above all
//   fragments=SIZE       sends echoes in frames of that size
//   ping=TEXT            pings when open, and tells of the pong
//   close=CODE&reason=R  closes when open
//
// Otherwise it sends every message back. Tells of the end of each connection.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { WebSocketServer } from 'ws'
import { tell } from './common.mjs'

const MAX_PAYLOAD = 32 * 1024 * 1024

function sendInPieces(socket, data, binary, size) {
  let at = 0
  do {
    const piece = data.subarray(at, at + size)
    at += size
    socket.send(piece, { binary, fin: at >= data.length })
  } while (at < data.length)
}

function serve(socket, query) {
  const size = Number(query.get('fragments') ?? Infinity)
  socket.on('message', (data, isBinary) => sendInPieces(socket, data, isBinary, size))
  socket.on('pong', (data) => tell({ event: 'pong', data: data.toString() }))
  socket.on('error', (error) => tell({ event: 'error', code: error.code, message: error.message }))
  socket.on('close', (code, reason) => tell({ event: 'close', code, reason: reason.toString() }))
  if (query.has('ping')) socket.ping(query.get('ping'))
  if (query.has('close')) socket.close(Number(query.get('close')), query.get('reason') ?? '')
}

const [cert, key] = process.argv.slice(2).map((file) => readFileSync(file))
const server = cert ? https.createServer({ cert, key }) : http.createServer()
server.on('upgrade', (request, stream, head) => {
  const query = new URL(request.url, 'ws://localhost').searchParams
  const options = JSON.parse(query.get('options') ?? '{}')
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_PAYLOAD, ...options })
  sockets.handleUpgrade(request, stream, head, (socket) => {
    tell({ event: 'open', extensions: socket.extensions })
    serve(socket, query)
  })
})
server.listen(0, '127.0.0.1', () => tell({ event: 'listening', port: server.address().port }))
