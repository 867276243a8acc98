--- What the specs share: a loop for each test, raw peers over plain TCP, and a
-- recorder of events.
--
-- A raw peer lives in the same thread as the loop: whatever it waits for, it
-- turns the loop meanwhile. Nothing waits longer than LIMIT.

local codec = require "libws.codec"
local libws = require "libws"
local socket = require "socket"

local support = {}

-- In seconds; more than anything takes, on a busy machine too.
support.LIMIT = 60

support.unpack = table.unpack or unpack

-- The key of RFC 6455 section 1.3, and what a server answers to it.
support.KEY = "dGhlIHNhbXBsZSBub25jZQ=="
support.ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

-- -- The loop ------------------------------------------------------------------

--- For before_each() and after_each(): each test has a loop of its own, and fails
-- if a handler has raised what it did not take out.
function support.open_loop()
  support.loop = libws.Loop()
  support.reports, support.kept = {}, {}
  libws.onerror = function(err, traceback)
    table.insert(support.reports, { err = err, traceback = traceback })
  end
end

function support.close_loop()
  support.loop:close()
  libws.onerror = nil
  local report = support.reports[1]
  assert(not report, report and report.traceback)
end

--- Takes out what handlers have raised.
function support.take_reports()
  local reports = support.reports
  support.reports = {}
  return reports
end

--- Turns the loop until `condition()` is true.
function support.run_until(condition)
  local deadline = socket.gettime() + support.LIMIT
  while not condition() do
    assert(socket.gettime() < deadline, "waited too long")
    support.loop:step(0.005)
  end
end

--- Turns the loop for a while, for what must not happen.
function support.settle()
  local deadline = socket.gettime() + 0.05
  repeat
    support.loop:step(0.005)
  until socket.gettime() > deadline
end

--- Runs fn() in a coroutine of the loop, until it is through.
function support.run(fn)
  local is_done = false
  support.loop:spawn(function()
    fn()
    is_done = true
  end, function()
    is_done = true
  end)
  support.run_until(function()
    return is_done
  end)
end

local function with_loop(options)
  local all = { loop = support.loop }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  return all
end

--- A WebSocket that lives as long as the test, whatever it listens for.
function support.new(url, protocols, options)
  local ws = libws.WebSocket(url, protocols, with_loop(options))
  table.insert(support.kept, ws)
  return ws
end

function support.connect(url, options)
  return libws.connect(url, with_loop(options))
end

--- A server of ours on a free port.
function support.serve(options)
  local all = with_loop(options)
  all.port = 0
  return assert(libws.serve(all))
end

--- A server of ours that echoes.
function support.serve_echo(options)
  local all = { compression = true }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  function all.onconnection(ws)
    ws.onmessage = function(ev)
      ws:send(ev.data, { binary = ev.binary })
    end
  end
  return support.serve(all)
end

--- A server of ours that sends more to each client than a queue takes in.
function support.serve_flood()
  return support.serve {
    onconnection = function(ws)
      for _ = 1, 64 do
        ws:send "x"
      end
    end,
  }
end

-- -- Raw peers -----------------------------------------------------------------

local function xor(a, b)
  local result, bit = 0, 1
  while a > 0 or b > 0 do
    if a % 2 ~= b % 2 then
      result = result + bit
    end
    a, b, bit = (a - a % 2) / 2, (b - b % 2) / 2, bit * 2
  end
  return result
end

local function apply_mask(payload, mask)
  local bytes = {}
  for i = 1, #payload do
    bytes[i] = string.char(xor(payload:byte(i), mask:byte((i - 1) % 4 + 1)))
  end
  return table.concat(bytes)
end

--- The bytes of a frame. `first` is its first byte: 0x81 is a whole text.
function support.frame(first, payload, mask)
  local len = #payload
  local head
  local mask_bit = mask and 128 or 0
  if len < 126 then
    head = string.char(first, mask_bit + len)
  elseif len < 65536 then
    head = string.char(first, mask_bit + 126, math.floor(len / 256), len % 256)
  else
    head = string.char(first, mask_bit + 127, 0, 0, 0, 0)
    for shift = 3, 0, -1 do
      head = head .. string.char(math.floor(len / 256 ^ shift) % 256)
    end
  end
  return head .. (mask and mask .. apply_mask(payload, mask) or payload)
end

function support.close_payload(code, reason)
  return string.char(math.floor(code / 256), code % 256) .. (reason or "")
end

local Peer = {}
Peer.__index = Peer

local function new_peer(sock)
  sock:settimeout(0)
  return setmetatable({ sock = sock, input = "", is_eof = false }, Peer)
end

function Peer:fill()
  local data, err, part = self.sock:receive(65536)
  self.input = self.input .. (data or part or "")
  self.is_eof = self.is_eof or err == "closed"
end

--- Takes out exactly so many bytes.
function Peer:read(count)
  support.run_until(function()
    self:fill()
    return #self.input >= count or self.is_eof
  end)
  assert(#self.input >= count, "the peer has closed")
  local data = self.input:sub(1, count)
  self.input = self.input:sub(count + 1)
  return data
end

--- Takes out a head, up to and with the empty line.
function Peer:read_head()
  local stop
  support.run_until(function()
    self:fill()
    stop = select(2, self.input:find("\r\n\r\n", 1, true))
    return stop or self.is_eof
  end)
  return self:read(stop or #self.input)
end

--- Takes out a frame: first byte, payload, mask or nil.
function Peer:read_frame()
  local first, second = self:read(2):byte(1, 2)
  local len = second % 128
  if len >= 126 then
    local bytes = self:read(len == 126 and 2 or 8)
    len = 0
    for i = 1, #bytes do
      len = len * 256 + bytes:byte(i)
    end
  end
  local mask = second >= 128 and self:read(4) or nil
  local payload = self:read(len)
  return first, mask and apply_mask(payload, mask) or payload, mask
end

--- Writes all of it, or what the other side takes before it closes.
function Peer:write(data)
  local sent = 0
  support.run_until(function()
    local last, err, part = self.sock:send(data, sent + 1)
    sent = last or part or sent
    return sent >= #data or err == "closed"
  end)
end

--- A frame as this side of a connection writes it: a client masks.
function Peer:frame(first, payload)
  return support.frame(first, payload, self.is_client and "mask" or nil)
end

--- Reads a Close frame. Returns its code.
function Peer:read_close()
  local first, payload = self:read_frame()
  assert(first == 0x88, "a Close frame expected")
  return #payload >= 2 and payload:byte(1) * 256 + payload:byte(2) or nil
end

--- Waits until the other side has closed, throwing away what it sends.
function Peer:wait_eof()
  support.run_until(function()
    self:fill()
    self.input = ""
    return self.is_eof
  end)
end

--- At the end of a clean closing handshake: a server closes at once, a client
-- waits for the server. What came last stays in `input`.
function Peer:wait_eof_or_close()
  if self.is_client then
    support.run_until(function()
      self:fill()
      return self.is_eof
    end)
  else
    support.settle()
    self:fill()
  end
  self:close()
end

function Peer:close()
  self.sock:close()
end

--- Listens as a raw server; has `url` and accept().
function support.listen()
  local sock = assert(socket.bind("127.0.0.1", 0))
  sock:settimeout(0)
  local _, port = sock:getsockname()
  local listener = { url = "ws://127.0.0.1:" .. port, port = port }
  function listener.accept()
    local accepted
    support.run_until(function()
      accepted = sock:accept()
      return accepted
    end)
    return new_peer(accepted)
  end
  --- Whether somebody is connecting, who has not been accepted.
  function listener.is_asked()
    support.settle()
    return socket.select({ sock }, nil, 0)[1] ~= nil
  end
  function listener.close()
    sock:close()
  end
  return listener
end

--- The 101 that a correct server answers to a request. `more` is a list of
-- further headers.
function support.response_to(head, more)
  local conn = codec.conn("server", 0, { origins = "*" })
  conn:feed(head)
  assert(conn:next() == codec.REQUEST)
  conn:accept(nil, more, false)
  return conn:output()
end

--- A raw server that has accepted `ws` (a client that was just made).
function support.accept_raw(listener, more)
  local peer = listener.accept()
  peer.request = peer:read_head()
  peer:write(support.response_to(peer.request, more))
  return peer
end

--- A client and the raw server it is connected to. `before(ws)` is called before
-- anything can come of it.
function support.open_raw(options, before)
  local listener = support.listen()
  local ws = support.new(listener.url, nil, options)
  if before then
    before(ws)
  end
  local peer = support.accept_raw(listener)
  listener.close()
  support.run_until(function()
    return ws.readyState == ws.OPEN
  end)
  return ws, peer
end

--- A raw connection to a server of ours.
function support.raw(server)
  return new_peer(assert(socket.connect("127.0.0.1", server.port)))
end

--- A raw client that asks for a WebSocket. `lines` are further header lines.
function support.raw_client(server, target, lines)
  local peer = support.raw(server)
  peer:write(table.concat({
    "GET " .. (target or "/") .. " HTTP/1.1",
    "Host: 127.0.0.1:" .. server.port,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " .. support.KEY,
    support.unpack(lines or {}),
  }, "\r\n") .. "\r\n\r\n")
  return peer
end

--- A socket of a server of ours, and the raw client it is connected to; `before`
-- as above.
function support.open_raw_server(options, before)
  local all, ws = {}, nil
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  function all.onconnection(socket_of_server)
    ws = socket_of_server
    table.insert(support.kept, ws)
    if before then
      before(ws)
    end
  end
  local peer = support.raw_client(support.serve(all))
  peer.is_client = true
  peer:read_head()
  support.run_until(function()
    return ws
  end)
  return ws, peer
end

--- A test for both roles: calls fn(open), where open(options, before) returns an
-- open socket of ours and its raw peer.
function support.in_both_roles(fn)
  return function()
    fn(support.open_raw)
    fn(support.open_raw_server)
  end
end

-- -- Recording -----------------------------------------------------------------

--- Records the events of a socket as text: "open", "message(abc)", "error",
-- 'close(1000,"bye",true)', and the readyState that each handler sees.
function support.record(ws)
  local record = { states = {} }
  local function add(text)
    table.insert(record, text)
    table.insert(record.states, ws.readyState)
  end
  ws:addEventListener("open", function()
    add "open"
  end)
  ws:addEventListener("message", function(ev)
    add("message(" .. ev.data .. ")")
  end)
  ws:addEventListener("error", function()
    add "error"
  end)
  ws:addEventListener("close", function(ev)
    add(('close(%d,"%s",%s)'):format(ev.code, ev.reason, tostring(ev.wasClean)))
  end)
  function record.wait()
    support.run_until(function()
      return ws.readyState == ws.CLOSED and record[#record] and record[#record]:match "^close"
    end)
    return { support.unpack(record) }
  end
  return record
end

--- Runs fn(...), which has to raise the error called `name`.
function support.raises(name, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, name .. " expected")
  assert(type(err) == "table", "an error table expected, got " .. tostring(err))
  assert(err.name == name, name .. " expected, got " .. tostring(err))
  return err
end

return support
