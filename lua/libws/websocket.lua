--- The WebSocket object: a browser's, and the calls that wait.
--
-- It stands on a handle, which does the protocol, and on a loop, which dispatches
-- events and lets coroutines wait; it knows neither sockets nor libws.core, so
-- that libws.resty can drive the same object over cosockets. Events come in
-- through websocket.on; what they return, an event and its listeners, the loop
-- dispatches.
--
-- A message goes to the listeners if there are any, otherwise into the inbox, if
-- the socket has one, for receive(). It has one from the start if connect() made
-- it, a server's socket while onconnection runs, any other from the first
-- receive() on. While the inbox is full, reading stops.

local errors = require "libws.errors"
local event = require "libws.event"
local headers = require "libws.headers"
local options = require "libws.options"
local target = require "libws.target"

local CONNECTING, OPEN, CLOSING, CLOSED = 0, 1, 2, 3
local constants = { CONNECTING = CONNECTING, OPEN = OPEN, CLOSING = CLOSING, CLOSED = CLOSED }

-- Bounds of the inbox; reading goes on when half of them is left.
local MAX_INBOX_MESSAGES = 16
local MAX_INBOX_BYTES = 1024 * 1024

-- PUC Lua 5.1 cannot yield inside the iterator of a for loop.
local cannot_yield_in_for = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

local WebSocket = {} -- What the objects have for methods.
local meta = { __name = "WebSocket" }
local websocket = {} -- The module.

--- Whether a value is a WebSocket.
function websocket.is(value)
  return getmetatable(value) == meta
end

local function check_self(ws, method)
  if getmetatable(ws) ~= meta then
    errors.raise("TypeError", "%s: call it with a colon on a WebSocket, ws:%s(...)", method, method)
  end
  return ws._handle
end

-- -- Life ----------------------------------------------------------------------

--- Makes the object for a handle. `fields` are private: _loop, _id, _url,
-- _origin, and if they differ from the defaults below, _high_water, _server,
-- _request. An idle connection holds little else.
function websocket.new(handle, fields)
  local ws = fields
  ws._handle = handle
  ws._listeners = {}
  ws._inbox = false
  return setmetatable(ws, meta)
end

-- What an object has until it gets its own.
local defaults = { _binary_type = "blob", _high_water = 1024 * 1024 }

-- WHATWG WebSockets 7, "Garbage collection": which listeners keep a WebSocket
-- alive that nobody refers to. Ours beyond the browser's count as message.
local keeps_alive = {
  [CONNECTING] = { "open", "message", "error", "close", "ping", "pong", "drain", "reconnect" },
  [OPEN] = { "message", "error", "close", "ping", "pong", "drain", "reconnect" },
  [CLOSING] = { "error", "close", "reconnect" },
  [CLOSED] = {},
}

local function is_needed(ws)
  if ws._receiver or ws._drainer or ws._closer then
    return true
  end
  for _, kind in ipairs(keeps_alive[ws._handle:ready_state()]) do
    if ws._listeners[kind] then
      return true
    end
  end
  return false
end

--- To be called when listeners, waiters or the state have changed.
local function update_root(ws)
  ws._loop.roots[ws._id] = is_needed(ws) and ws or nil
end

-- -- Attributes ----------------------------------------------------------------

local getters = {
  url = function(ws)
    return ws._url
  end,
  readyState = function(ws)
    return ws._handle:ready_state()
  end,
  bufferedAmount = function(ws)
    return ws._handle:buffered_amount()
  end,
  protocol = function(ws)
    return ws._handle:protocol()
  end,
  extensions = function(ws)
    return ws._handle:extensions()
  end,
  binaryType = function(ws)
    return ws._binary_type
  end,
  remoteAddress = function(ws)
    return ws._handle:peer_address()
  end,
  -- The 101 that a client got; in nginx, the request; of a server's socket, the
  -- server. What else of a request is needed, onconnection keeps.
  response = function(ws)
    return ws._response
  end,
  request = function(ws)
    return ws._request
  end,
  server = function(ws)
    return ws._server
  end,
}

local setters = {}

-- WebIDL: a value that the enumeration does not have is ignored.
function setters.binaryType(ws, value)
  if value == "blob" or value == "arraybuffer" then
    ws._binary_type = value
  end
end

local function has_messages(ws)
  local inbox = ws._inbox
  return inbox and inbox.first <= inbox.last
end

local function changed_listeners(ws)
  update_root(ws)
  if ws._listeners.message and has_messages(ws) then
    ws:_flush_inbox()
  end
end

for _, kind in ipairs { "open", "message", "error", "close", "ping", "pong", "drain", "reconnect" } do
  local name = "on" .. kind
  getters[name] = function(ws)
    return target.get_handler(ws._listeners, kind)
  end
  setters[name] = function(ws, value)
    target.set_handler(ws._listeners, kind, value)
    changed_listeners(ws)
  end
end

function meta.__index(ws, key)
  local method = WebSocket[key]
  if method ~= nil then
    return method
  end
  local default = defaults[key]
  if default ~= nil then
    return default
  end
  local getter = getters[key]
  if getter then
    return getter(ws)
  end
  return constants[key]
end

function meta.__newindex(ws, key, value)
  local setter = setters[key]
  if setter then
    return setter(ws, value)
  end
  if getters[key] or constants[key] or WebSocket[key] then
    errors.raise("TypeError", "%s is read-only", tostring(key))
  end
  rawset(ws, key, value)
end

function meta.__tostring(ws)
  return "WebSocket: " .. ws._url
end

function meta.__close(ws)
  ws:close()
end

-- -- Listeners -----------------------------------------------------------------

--- DOM 2.8: "If an AbortSignal is passed for options's signal, then the event
-- listener will be removed when signal is aborted." The signal keeps neither the
-- socket nor the listener.
local function follow(signal, ws, kind, listener)
  local weak = setmetatable({ ws = ws, listener = listener }, { __mode = "v" })
  signal:addEventListener("abort", function()
    if weak.ws and weak.listener then
      weak.ws:removeEventListener(kind, weak.listener)
    end
  end, { once = true })
end

--- Options: once, and signal, whose event "abort" takes the listener away.
function WebSocket:addEventListener(kind, listener, o)
  check_self(self, "addEventListener")
  local signal = type(o) == "table" and o.signal or nil
  if signal and signal.aborted then
    return
  end
  target.add(self._listeners, kind, listener, o)
  if signal and listener ~= nil then
    follow(signal, self, kind, listener)
  end
  changed_listeners(self)
end

function WebSocket:removeEventListener(kind, listener)
  check_self(self, "removeEventListener")
  target.remove(self._listeners, kind, listener)
  update_root(self)
end

--- Calls the listeners of an event now.
function WebSocket:dispatchEvent(e)
  check_self(self, "dispatchEvent")
  if not event.is(e) then
    errors.raise("TypeError", "dispatchEvent: Event expected, got %s", type(e))
  end
  if e[event.PHASE] ~= 0 then
    errors.raise("InvalidStateError", "dispatchEvent: the event is being dispatched")
  end
  e[event.TARGET], e[event.PHASE], e[event.IS_TRUSTED] = self, 2, false
  self._loop:dispatch(e, self._listeners[e.type])
  return true
end

-- -- Sending -------------------------------------------------------------------

--- Sends a message. Options: binary, compress (default true), fin (false: more of
-- the same message follows).
function WebSocket:send(data, o)
  local handle = check_self(self, "send")
  if o == nil then
    handle:send(data, false)
  else
    options.check(o, "send")
    handle:send(data, o.binary, o.fin == false, o.compress == false)
  end
end

function WebSocket:sendBinary(data, o)
  local handle = check_self(self, "sendBinary")
  if o == nil then
    handle:send(data, true)
  else
    options.check(o, "sendBinary")
    handle:send(data, true, o.fin == false, o.compress == false)
  end
end

function WebSocket:ping(data)
  check_self(self, "ping"):ping(data)
end

function WebSocket:pong(data)
  check_self(self, "pong"):pong(data)
end

-- -- Closing -------------------------------------------------------------------

--- A full inbox does not stop a socket that is closing: it gets no more messages,
-- and has to read the Close frame.
local function update_pause(ws)
  local inbox = ws._inbox
  local is_full = inbox and inbox.is_full and ws._handle:ready_state() < CLOSING
  ws._handle:set_paused(ws._is_paused or is_full)
end

function WebSocket:close(code, reason)
  check_self(self, "close"):close(code, reason)
  update_pause(self)
  update_root(self)
end

--- close() with every code that may be on the wire.
function WebSocket:closeWith(code, reason)
  check_self(self, "closeWith"):close_with(code, reason)
  update_pause(self)
  update_root(self)
end

--- Ends the connection at once; the close event says 1006.
function WebSocket:terminate()
  check_self(self, "terminate"):terminate()
  update_root(self)
end

-- -- Reading and backpressure --------------------------------------------------

--- Reads nothing until resume(), so that the peer has to wait.
function WebSocket:pause()
  check_self(self, "pause")
  self._is_paused = true
  update_pause(self)
end

function WebSocket:resume()
  check_self(self, "resume")
  self._is_paused = false
  update_pause(self)
end

--- From the next message on, messages come in pieces as they arrive (true), or
-- whole.
function WebSocket:setStreaming(is_streaming)
  check_self(self, "setStreaming"):set_streaming(is_streaming)
end

-- The inbox: what came and was not received yet, at `first` to `last`.
local function new_inbox()
  return { data = {}, binary = {}, is_last = {}, first = 1, last = 0, bytes = 0, is_full = false }
end

--- Gives the socket an inbox, unless it has one.
function WebSocket:_open_inbox()
  if not self._inbox then
    self._inbox = new_inbox()
  end
end

--- Takes the inbox away from a socket that listeners, or nobody, read from.
function WebSocket:_drop_inbox()
  if self._inbox and not self._is_pulled and not has_messages(self) then
    self._inbox = false
    update_pause(self)
  end
end

local function put(ws, inbox, data, binary, is_last)
  local last = inbox.last + 1
  inbox.data[last], inbox.binary[last], inbox.is_last[last] = data, binary, is_last ~= false
  inbox.last = last
  inbox.bytes = inbox.bytes + #data
  if last - inbox.first + 1 >= MAX_INBOX_MESSAGES or inbox.bytes >= MAX_INBOX_BYTES then
    inbox.is_full = true
    update_pause(ws)
  end
end

local function take(ws, inbox)
  local first = inbox.first
  local data, binary, is_last = inbox.data[first], inbox.binary[first], inbox.is_last[first]
  inbox.data[first], inbox.binary[first], inbox.is_last[first] = nil, nil, nil
  inbox.first = first + 1
  inbox.bytes = inbox.bytes - #data
  if inbox.first > inbox.last then
    inbox.first, inbox.last = 1, 0
  end
  if
    inbox.is_full
    and inbox.last - inbox.first + 1 <= MAX_INBOX_MESSAGES / 2
    and inbox.bytes <= MAX_INBOX_BYTES / 2
  then
    inbox.is_full = false
    update_pause(ws)
  end
  return data, binary, is_last
end

--- What waits in the inbox becomes events for a listener that came late.
function WebSocket:_flush_inbox()
  if self._is_flushing then
    return
  end
  self._is_flushing = true
  self._loop:timer(0, function()
    self._is_flushing = false
    while self._listeners.message and has_messages(self) do
      local data, binary, is_last = take(self, self._inbox)
      self._loop:dispatch(event.message(self, data, binary, nil, is_last), self._listeners.message)
    end
  end)
end

--- Waits for place[key] to be woken; the socket lives as long.
local function suspend(ws, key, timeout)
  ws._loop.roots[ws._id] = ws
  local is_awake = ws._loop:suspend(ws, key, timeout)
  update_root(ws)
  return is_awake
end

local function closed(ws)
  return nil, "closed", ws._close_code, ws._close_reason
end

--- Waits for the next message. Returns data, whether it is binary, and whether it
-- is a whole message or the last piece of one; or nil, "timeout", and nothing is
-- lost; or nil, "closed", code, reason.
function WebSocket:receive(timeout)
  check_self(self, "receive")
  self:_open_inbox()
  self._is_pulled = true
  local inbox = self._inbox
  while inbox.first > inbox.last do
    if self._close_code then
      return closed(self)
    end
    if not suspend(self, "_receiver", timeout) then
      return nil, "timeout"
    end
  end
  return take(self, inbox)
end

local function next_message(ws)
  if cannot_yield_in_for and coroutine.running() and not has_messages(ws) and not ws._close_code then
    errors.raise("InvalidStateError", "Lua 5.1 cannot wait inside a for loop; use while and ws:receive()")
  end
  local data, binary, is_last = ws:receive()
  if data ~= nil then
    return data, binary, is_last
  end
end

--- for data, binary in ws:messages() do ... end, until the connection closes.
function WebSocket:messages()
  check_self(self, "messages")
  return next_message, self
end

--- Waits until what was sent is on its way, but for less than send_high_water.
-- Returns true; or nil, "timeout"; or nil, "closed", code, reason.
function WebSocket:drain(timeout)
  local handle = check_self(self, "drain")
  while not self._close_code do
    if handle:queued() <= self._high_water then
      return true
    end
    if not suspend(self, "_drainer", timeout) then
      return nil, "timeout"
    end
  end
  return closed(self)
end

--- Waits for the end. Returns code, reason, wasClean; or nil, "timeout".
function WebSocket:waitClosed(timeout)
  check_self(self, "waitClosed")
  while not self._close_code do
    if not suspend(self, "_closer", timeout) then
      return nil, "timeout"
    end
  end
  return self._close_code, self._close_reason, self._was_clean
end

--- Waits until the connection is open. Returns true; or nil, message, code,
-- response when it failed.
function WebSocket:_wait_open()
  while self._handle:ready_state() == CONNECTING and not self._close_code do
    suspend(self, "_opener")
  end
  if self._has_opened then
    return true
  end
  local failure = self._failure or {}
  return nil, failure.message or "the connection was closed", failure.code or "WS_ERR_ABORTED", failure.response
end

-- -- More ----------------------------------------------------------------------

function WebSocket:stats()
  return check_self(self, "stats"):stats()
end

--- A table about the TLS connection, or nil.
function WebSocket:tlsInfo()
  return check_self(self, "tlsInfo"):tls_info()
end

--- Of a client that reconnects: headers for the attempts to come.
function WebSocket:setRequestHeaders(values)
  check_self(self, "setRequestHeaders"):set_request_headers(values)
end

local function check_of_server(ws, method)
  local handle = check_self(ws, method)
  if not ws._server then
    errors.raise("InvalidStateError", "%s: only sockets of a server can", method)
  end
  return handle
end

function WebSocket:subscribe(topic)
  check_of_server(self, "subscribe"):subscribe(topic)
end

function WebSocket:unsubscribe(topic)
  check_of_server(self, "unsubscribe"):unsubscribe(topic)
end

--- Sends to all subscribers of a topic but this socket.
function WebSocket:publish(topic, data, o)
  check_of_server(self, "publish")
  local all = { except = self }
  for name, value in pairs(options.check(o, "publish")) do
    all[name] = value
  end
  self._server:publish(topic, data, all)
end

-- -- Events from below ---------------------------------------------------------

-- By event name: on.message(ws, values...) -> event, listeners.
websocket.on = {}
local on = websocket.on

function on.open(ws, response)
  ws._has_opened = true
  ws._response = headers.adorn(response)
  update_root(ws)
  ws._loop:wake(ws, "_opener")
  local listeners = ws._listeners.open
  return listeners and event.plain("open", ws), listeners
end

function on.message(ws, data, binary, is_first, is_last)
  local listeners = ws._listeners.message
  local inbox = ws._inbox
  if listeners and not (inbox and inbox.first <= inbox.last) then
    return event.message(ws, data, binary, is_first, is_last), listeners
  elseif inbox then
    put(ws, inbox, data, binary, is_last)
    ws._loop:wake(ws, "_receiver")
  end
end

local function control(kind)
  return function(ws, data, rtt)
    local listeners = ws._listeners[kind]
    return listeners and event.control(kind, ws, data, rtt), listeners
  end
end

on.ping, on.pong = control "ping", control "pong"

function on.drain(ws)
  ws._loop:wake(ws, "_drainer")
  local listeners = ws._listeners.drain
  return listeners and event.plain("drain", ws), listeners
end

on["error"] = function(ws, code, message, side, phase, close_code, status, response)
  headers.adorn(response)
  ws._failure = { code = code, message = message, response = response }
  local listeners = ws._listeners.error
  return listeners and event.error(ws, code, message, side, phase, close_code, status, response), listeners
end

function on.reconnect(ws, attempt, delay, code, reason, error_code, message)
  ws._has_opened = nil
  update_root(ws)
  local listeners = ws._listeners.reconnect
  local failure = { code = error_code, message = message }
  return listeners and event.reconnect(ws, attempt, delay, code, reason, failure), listeners
end

--- The end. The socket is kept alive no longer than its last handler runs.
function on.close(ws, code, reason, was_clean)
  ws._close_code, ws._close_reason, ws._was_clean = code, reason, was_clean
  for _, key in ipairs { "_opener", "_receiver", "_drainer", "_closer" } do
    ws._loop:wake(ws, key)
  end
  ws._loop.roots[ws._id] = nil
  ws._loop.sockets[ws._id] = nil
  local listeners = ws._listeners.close
  return listeners and event.close(ws, code, reason, was_clean), listeners
end

-- -- The class -----------------------------------------------------------------

--- Makes the class that applications see; `construct(url, protocols, options)` is
-- what a call of it does.
function websocket.class(construct)
  return setmetatable({}, {
    __name = "WebSocket",
    __index = function(_, key)
      return constants[key] or (key == "is" and websocket.is) or nil
    end,
    __newindex = function(_, key)
      errors.raise("TypeError", "WebSocket.%s is read-only", tostring(key))
    end,
    __call = function(_, ...)
      return construct(...)
    end,
  })
end

return websocket
