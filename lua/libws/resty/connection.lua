--- A connection in nginx: the engine of libws.codec, a cosocket, and the two light
-- threads that carry bytes between them.
--
-- The keeper lives as long as the connection. It writes, and it keeps the
-- deadlines; whoever changes the engine signals it, and may do so from any
-- request of the worker, because that touches no cosocket. Its child, the
-- reader, feeds the engine, pulls events and calls the handlers. While the
-- reader is idle, that is, waits for input or must not read, the keeper pulls
-- what time and writing have caused.
--
-- To wake the keeper costs as much as an answer does. So the light thread that has
-- just got a message, with none behind it, writes its answer itself; whatever else
-- is sent leaves together. One thread writes at a time.
--
-- nginx remembers every light thread until its request ends, so none is made for
-- events that come often.

local codec = require "libws.codec"
local errors = require "libws.errors"
local ffi = require "ffi"
local loop = require "libws.resty.loop"
local semaphore = require "ngx.semaphore"
local websocket = require "libws.websocket"

ffi.cdef "extern volatile uintptr_t ngx_current_msec;"

local get_request = require("resty.core.base").get_request
local C, running, status = ffi.C, coroutine.running, coroutine.status
local spawn, kill, join = ngx.thread.spawn, ngx.thread.kill, ngx.thread.wait
local on = websocket.on

-- LuaJIT maps strings of 128 KiB and more into memory one by one.
local READ_SIZE = 64 * 1024
local WRITE_SIZE = 120 * 1024
local DEFAULT_SEND_TIMEOUT = 30
local CLOSED = 3
local MESSAGE = codec.MESSAGE

-- RFC 6455 section 5.2: the most that is before the payload of a frame.
local MAX_HEAD = 14

-- The shortest wait that nginx knows, and the longest, in milliseconds.
local MIN_WAIT, MAX_TIMEOUT = 0.001, loop.FOREVER * 1000

local Connection = {}
Connection.__index = Connection

local connection = {}

--- The worker's monotonic time in seconds. ngx.now() would jump with the clock.
local function now()
  return tonumber(C.ngx_current_msec) / 1000
end
connection.now = now

--- What sock:settimeouts() takes for an option in seconds; false is "never".
local function send_timeout(seconds)
  if seconds == nil then
    seconds = DEFAULT_SEND_TIMEOUT
  end
  return seconds and math.min(seconds * 1000, MAX_TIMEOUT) or MAX_TIMEOUT
end

--- Makes a connection. `engine` has been accepted or has its request ready;
-- `sock` is connected, or else `dial(sock)` does that and returns true, or nil,
-- message, code.
function connection.new(engine, sock, options, dial)
  sock:settimeouts(MAX_TIMEOUT, send_timeout(options.send_timeout), MAX_TIMEOUT)
  return setmetatable({
    engine = engine,
    sock = sock,
    dial = dial or false,
    ws = false, -- Set by start().
    -- Who is called when the connection is over.
    on_end = false,
    -- Why the cosocket failed: {code, message}.
    failure = false,
    is_over = false, -- The close event has been pulled.
    -- The keeper.
    wakeup = semaphore.new(),
    is_waiting = false, -- For wakeup.
    is_signalled = false,
    request = get_request(),
    -- The light thread that is writing; the one that may write what it sends next.
    writer = false,
    answerer = false,
    alarm = 0, -- When it will look by itself.
    helpers = {}, -- Other light threads that it has to forget when they end.
    -- The light thread that reads; false when there shall be another.
    reader = false,
    input_size = 0, -- Of what it has read last.
    is_idle = false,
    is_paused = false,
    is_stalled = false, -- Paused by us, while a handler waits.
    resumed = semaphore.new(),
    -- What was published inside a message that is sent in pieces.
    is_in_message = false,
    held = false,
  }, Connection)
end

-- -- Signals -------------------------------------------------------------------

--- The request was aborted, by ngx.exit() or an error, and its light threads are
-- gone with it. Nobody will carry any more bytes.
local function abandon(self)
  self.engine:abort(false)
  local function note(kind, ...)
    if kind then
      self:take_event(kind, ...)
    end
    return kind
  end
  repeat
  until not note(self.engine:next())
end

--- Whether the keeper, which waits, is still there: ngx.semaphore counts a waiting
-- thread as -1.
local function is_kept(self)
  return self.wakeup:count() < 0
end

--- Has the keeper look at what is to be written and when it is needed next.
local function signal(self)
  if self.is_signalled then
    return
  end
  self.is_signalled = true
  if not self.is_waiting then
    return
  elseif is_kept(self) then
    self.wakeup:post()
  else
    abandon(self)
  end
end

local function wait_for_signal(self)
  if not self.is_signalled then
    self.alarm = self.engine:deadline() or math.huge
    self.is_waiting = true
    self.wakeup:wait(math.min(math.max(self.alarm - now(), MIN_WAIT), loop.FOREVER))
    self.is_waiting = false
  end
  self.is_signalled = false
end

-- -- Events --------------------------------------------------------------------

-- By event type: take[type](self, values...) -> event, listeners.
local take = {}

take[MESSAGE] = function(self, data, binary, is_first, is_last)
  return on.message(self.ws, data, binary, is_first, is_last)
end

for _, kind in ipairs { "ping", "pong", "drain" } do
  local handle = on[kind]
  take[codec[kind:upper()]] = function(self, ...)
    return handle(self.ws, ...)
  end
end

take[codec.OPEN] = function(self, _, response)
  return on.open(self.ws, response)
end

take[codec.ERROR] = function(self, code, message, side, ...)
  local failure = side == "transport" and self.failure
  if failure then
    code, message = failure.code, failure.message
  end
  return on["error"](self.ws, code, message, side, ...)
end

take[codec.CLOSE] = function(self, ...)
  self.is_over = true
  if self.on_end then
    self.on_end(self)
  end
  return on.close(self.ws, ...)
end

--- Returns an event for the application and its listeners, if there are any.
function Connection:take_event(kind, ...)
  return take[kind](self, ...)
end

--- Ends the connection because its cosocket failed.
local function fail(self, code, message)
  self.failure = { code = code, message = message }
  self.engine:abort(true)
end

-- -- Writing -------------------------------------------------------------------

--- What sock:send() takes, of what the engine shows.
local function gather(first, second, ...)
  return second and { first, second, ... } or first
end

--- Returns how much is left.
local function write_some(self, bytes)
  local sent, problem = self.sock:send(bytes)
  if problem == "timeout" then
    fail(self, "WS_ERR_SEND_TIMEOUT", "the peer takes no data (send_timeout)")
  elseif not sent then
    fail(self, "WS_ERR_TRANSPORT", problem)
  end
  local left = self.engine:consume(sent or 0)
  return left
end

--- Writes all there is; `bytes` is the first of it.
local function write_all(self, me, bytes)
  self.writer = me
  local left = write_some(self, bytes)
  while left > 0 do
    left = write_some(self, gather(self.engine:peek(WRITE_SIZE)))
  end
  self.writer = false
  if self.is_over and self.sock.close then
    self.sock:close()
  end
  if rawget(self.ws, "_drainer") then
    loop:wake(self.ws, "_drainer")
  end
end

--- Writes if there is something, and nobody else does. Returns whether it has.
local function write(self, me, queued)
  if queued == 0 or self.writer or self.dial then
    return false
  end
  write_all(self, me, gather(self.engine:peek(WRITE_SIZE)))
  return true
end

-- -- The reader ----------------------------------------------------------------

local function open_socket(self)
  self.is_idle = true
  local ok, message, code = self.dial(self.sock)
  self.is_idle = false
  self.dial = false
  if not ok then
    fail(self, code, message)
  end
end

--- Dispatches an event. A handler may answer a message at once if it is all that
-- has come.
local function deliver(self, me, kind, ...)
  local e, listeners = take[kind](self, ...)
  if e then
    self.answerer = kind == MESSAGE and self.input_size - #(...) <= MAX_HEAD and me
    loop:dispatch(e, listeners)
  end
end

--- After all input has been used, with what the engine says then. Returns whether
-- there may be events again.
local function settle(self, me, queued, deadline)
  if self.is_stalled then
    self.is_stalled = false
    self.engine:set_paused(self.is_paused)
    return true
  elseif self.is_signalled then
    return false -- The keeper sees to all.
  elseif write(self, me, queued) then
    return true
  elseif deadline and deadline < self.alarm then
    signal(self)
  end
  return false
end

--- Waits for input and feeds it; or, paused, for resume(). Returns the next event.
local function wait_for_input(self)
  local engine = self.engine
  self.is_idle = true
  if self.is_paused then
    self.resumed:wait(loop.FOREVER)
    self.is_idle = false
    return engine:next()
  end
  local data, problem = self.sock:receiveany(READ_SIZE)
  self.is_idle = false
  if data then
    self.input_size = #data
    return engine:receive(data, now())
  end
  engine:tick(now())
  if problem == "closed" then
    engine:eof()
  elseif problem ~= "timeout" then
    fail(self, "WS_ERR_TRANSPORT", problem)
  end
  return engine:next()
end

--- Until the end, or until another reader has taken over while a handler waited.
local function read(self)
  local me, engine = running(), self.engine
  self.reader = me
  if self.dial then
    open_socket(self)
  end
  local kind, a, b, c, d, e, f, g = engine:next()
  while kind or not self.is_over do
    if kind then
      deliver(self, me, kind, a, b, c, d, e, f, g)
      if self.reader ~= me then
        break
      end
      kind, a, b, c, d, e, f, g = engine:next()
    elseif settle(self, me, a, b) then
      kind, a, b, c, d, e, f, g = engine:next()
    else
      kind, a, b, c, d, e, f, g = wait_for_input(self)
    end
  end
  signal(self)
end

--- Another light thread takes the place of the reader, which a handler keeps
-- waiting.
local function replace_reader(self)
  table.insert(self.helpers, self.reader)
  self.reader = false
end

--- To be called before the running light thread waits for this connection.
function Connection:let_others_read()
  if self.reader == running() then
    replace_reader(self)
    signal(self)
  end
end

--- To be called when the running light thread has waited for this connection: what
-- it sends next may leave at once.
function Connection:let_answer()
  self.answerer = running()
end

--- To be called now and then: a reader that writes, and still does, waits for a peer
-- that takes nothing, which perhaps waits for us to read.
function Connection:look_after_reader()
  if self.writer and self.writer == self.reader then
    replace_reader(self)
    signal(self)
  end
end

-- -- The keeper ----------------------------------------------------------------

--- Has nginx forget those that have ended.
local function reap(self)
  local helpers = self.helpers
  for i = #helpers, 1, -1 do
    if status(helpers[i]) == "zombie" then
      join(table.remove(helpers, i))
    end
  end
end

local function deliver_aside(self, kind, ...)
  if not kind then
    return false
  end
  local e, listeners = take[kind](self, ...)
  if e then
    table.insert(self.helpers, (spawn(loop.dispatch, loop, e, listeners)))
  end
  return true
end

--- Pulls what time and writing have caused. When that is due while a handler of
-- the reader waits, the input has to wait too, and so the peer is not blamed for us.
local function pull(self)
  local engine = self.engine
  if not self.is_idle then
    local deadline = engine:deadline()
    if engine:ready_state() ~= CLOSED and not (deadline and deadline <= now()) then
      return
    end
    self.is_stalled = true
    engine:set_paused(true)
  end
  repeat
  until not deliver_aside(self, engine:next())
end

--- Ends the transport. The socket of a request ends with the request; a writer
-- closes another when it is done.
local function hang_up(self)
  if self.is_idle then
    kill(self.reader)
  end
  if self.sock.close and not self.writer then
    self.sock:close()
  end
end

local function keep(self)
  local me, engine = running(), self.engine
  repeat
    wait_for_signal(self)
    if not self.reader then
      spawn(read, self)
    end
    engine:tick(now())
    write(self, me, engine:queued())
    repeat
      pull(self)
    until not write(self, me, engine:queued())
    reap(self)
  until self.is_over
  hang_up(self)
end

--- Begins to read and write for `ws`, but not before the running light thread has
-- waited for something: it may set handlers first.
function Connection:start(ws)
  self.ws = ws
  spawn(keep, self)
  signal(self)
end

-- -- What WebSocket calls ------------------------------------------------------

local function send_held(self)
  local held = self.held
  self.held = false
  for _, message in ipairs(held) do
    self.engine:send_message(message)
  end
end

--- Whether the light thread `me` is running, and may write. nginx uses those that
-- have ended again, for other requests too.
local function may_write(self, me)
  return me == running()
    and get_request() == self.request
    and self.is_waiting
    and is_kept(self)
    and not (self.writer or self.held)
end

function Connection:send(data, binary, is_fragment, is_uncompressed)
  self.is_in_message = is_fragment or false
  local me = self.answerer
  if me and may_write(self, me) then
    self.answerer = false
    local bytes = gather(self.engine:send_and_peek(WRITE_SIZE, data, binary, is_fragment, is_uncompressed))
    if bytes then
      return write_all(self, me, bytes)
    end
    return signal(self)
  end
  self.engine:send(data, binary, is_fragment, is_uncompressed)
  if self.held and not is_fragment then
    send_held(self)
  end
  signal(self)
end

--- Sends what codec.message() has made for many, behind the message that is
-- being sent in pieces.
function Connection:publish(message)
  if self.is_in_message then
    self.held = self.held or {}
    table.insert(self.held, message)
  else
    self.engine:send_message(message)
    signal(self)
  end
end

function Connection:ping(data)
  self.engine:ping(data)
  signal(self)
end

function Connection:pong(data)
  self.engine:pong(data)
  signal(self)
end

function Connection:close(code, reason)
  self.engine:close(code, reason)
  signal(self)
end

function Connection:close_with(code, reason)
  self.engine:close_with(code, reason)
  signal(self)
end

function Connection:terminate()
  self.engine:abort(false)
  signal(self)
end

function Connection:set_paused(is_paused)
  is_paused = is_paused or false
  if is_paused == self.is_paused then
    return
  end
  self.is_paused = is_paused
  if self.is_stalled then
    return
  end
  self.engine:set_paused(is_paused)
  if not is_paused and self.resumed:count() < 0 then
    -- The reader is about to pull.
    self.is_idle = false
    self.resumed:post()
  end
end

function Connection:set_streaming(is_streaming)
  self.engine:set_streaming(is_streaming)
end

function Connection:ready_state()
  return self.engine:ready_state()
end

function Connection:buffered_amount()
  return self.engine:buffered_amount()
end

function Connection:queued()
  return self.engine:queued()
end

function Connection:protocol()
  return self.engine:protocol()
end

function Connection:extensions()
  return self.engine:extensions()
end

function Connection:stats()
  return self.engine:stats()
end

function Connection:peer_address()
  return self.remote or ""
end

--- nginx does not tell.
function Connection.tls_info() end

function Connection.set_request_headers()
  errors.raise("InvalidStateError", "setRequestHeaders: only sockets of libws.WebSocket can")
end

return connection
