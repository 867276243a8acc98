// npm ws as client. Each line of standard input is one conversation with an echo
// server, in JSON:
//
//   url, options         for the constructor
//   texts, binaries      sizes of messages that have to come back as they are
//   fragments            sends them in frames of that size
//   ping                 a payload that the pong has to have
//   close                [code, reason] of our close(); without it the server's
//                        is waited for
//
// and is answered by one line: what was negotiated and seen.
import readline from 'node:readline'
import { once } from 'node:events'
import WebSocket from 'ws'
import { pattern, tell } from './common.mjs'

const ENDED = new Error('the socket has ended')
const MAX_PAYLOAD = 32 * 1024 * 1024

function send(socket, data, binary, size = Infinity) {
  let at = 0
  do {
    const piece = data.subarray(at, at + size)
    at += size
    socket.send(piece, { binary, fin: at >= data.length })
  } while (at < data.length)
}

async function echo(socket, size, isText, fragments) {
  const data = pattern(size, isText)
  const answer = once(socket, 'message')
  send(socket, data, !isText, fragments)
  const [received, isBinary] = await answer
  if (isBinary === isText || !received.equals(data)) {
    throw new Error(`not echoed: ${isText ? 'text' : 'binary'} of ${size} bytes`)
  }
}

async function ping(socket, payload) {
  const answer = once(socket, 'pong')
  socket.ping(payload)
  return (await answer)[0].toString()
}

async function converse({ url, options = {}, texts = [], binaries = [], fragments, ...rest }) {
  const result = { errors: [] }
  const socket = new WebSocket(url, { maxPayload: MAX_PAYLOAD, ...options })
  const closed = new Promise((resolve) => {
    socket.on('close', (code, reason) => resolve([code, reason.toString()]))
  })
  socket.on('error', (error) => result.errors.push(error.message))
  // What is waited for may never come once the socket has ended.
  const orEnd = (promise) => Promise.race([promise, closed.then(() => { throw ENDED })])

  try {
    await orEnd(once(socket, 'open'))
    result.extensions = socket.extensions
    for (const size of texts) await orEnd(echo(socket, size, true, fragments))
    for (const size of binaries) await orEnd(echo(socket, size, false, fragments))
    result.echoed = texts.length + binaries.length
    if (rest.ping !== undefined) result.pong = await orEnd(ping(socket, rest.ping))
    if (rest.close !== undefined) socket.close(...rest.close)
  } catch (error) {
    // once() rejects with the errors of the socket, which are noted already.
    if (error !== ENDED && !result.errors.includes(error.message)) result.errors.push(error.message)
    socket.terminate()
  }
  result.close = await closed
  return result
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  tell(await converse(JSON.parse(line)))
}
