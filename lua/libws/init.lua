--- libws: WebSocket, the browser's, for clients and servers.
--
--   local libws = require "libws"
--
--   local ws = libws.WebSocket("wss://host/path", {"chat"})
--   ws.onmessage = function(ev) print(ev.data, ev.binary) end
--   libws.run()
--
--   local ws = assert(libws.connect("ws://host/path"))
--   ws:send("hello")
--   print(ws:receive(5))
--
--   libws.serve{ port = 8080, onconnection = function(ws, request) ... end }

local core = require "libws.core"
local errors = require "libws.errors"
local event = require "libws.event"
local Loop = require "libws.loop"
local options = require "libws.options"
local Server = require "libws.server"
local tls = require "libws.tls"
local websocket = require "libws.websocket"

local libws = {
  _VERSION = "libws " .. core.version,
  Event = event.Event,
  MessageEvent = event.MessageEvent,
  CloseEvent = event.CloseEvent,
  ErrorEvent = event.ErrorEvent,
}

-- -- The loop ------------------------------------------------------------------

local default_loop

--- The loop that is used when no other is named.
function libws.loop()
  default_loop = default_loop or Loop.new()
  return default_loop
end

--- Makes another loop, for the option `loop`.
libws.Loop = Loop.new

function libws.run()
  libws.loop():run()
end

function libws.step(timeout)
  libws.loop():step(timeout)
end

function libws.stop()
  libws.loop():stop()
end

function libws.sleep(seconds)
  libws.loop():sleep(seconds)
end

function libws.timer(seconds, fn)
  return libws.loop():timer(seconds, fn)
end

--- Calls fn(...) in a coroutine of its own, which may wait.
function libws.spawn(fn, ...)
  libws.loop():spawn(fn, nil, ...)
end

-- -- Clients -------------------------------------------------------------------

--- A text, or an object that has one.
local function check_url(url)
  local meta = type(url) == "table" and getmetatable(url)
  if type(meta) == "table" and meta.__tostring then
    return tostring(url)
  elseif type(url) ~= "string" then
    errors.raise("TypeError", "url: string expected, got %s", type(url))
  end
  return url
end

--- WHATWG URL, "origin": scheme, host and port of a URL that has been parsed.
local function origin_of(url)
  local scheme, authority = url:match "^(wss?://)([^/?]*)"
  return scheme and scheme .. authority:match "[^@]*$" or "null"
end

local function open(url, protocols, given)
  url = check_url(url)
  local c_options, own = options.split(options.check(given, "options"), { loop = true })
  tls.make_client(c_options)
  local loop = Loop.check(own.loop) or libws.loop()
  local handle, id = loop.handle:open(url, protocols, c_options)
  url = handle:url()
  local ws = websocket.new(handle, {
    _loop = loop,
    _id = id,
    _url = url,
    _origin = origin_of(url),
    _high_water = c_options.send_high_water,
  })
  loop.sockets[id] = ws
  loop:started()
  return ws
end

libws.WebSocket = websocket.class(open)

--- Opens a connection and waits for it. Returns a WebSocket to send to and
-- receive from; or nil, message, code, response. Options: those of WebSocket, and
-- `protocols`.
function libws.connect(url, given)
  local rest, own = options.split(options.check(given, "options"), { protocols = true })
  local ws = open(url, own.protocols, rest)
  ws:_open_inbox()
  local ok, message, code, response = ws:_wait_open()
  if ok then
    return ws
  end
  return nil, message, code, response
end

-- -- Servers and TLS -----------------------------------------------------------

--- Starts a server. Returns it; or nil, message, code.
function libws.serve(given)
  return Server.new(Loop.check(options.check(given, "serve").loop) or libws.loop(), given)
end

--- Make TLS contexts that many sockets or servers share. Return them; or nil,
-- message, code.
libws.tlsClient = core.tls_client
libws.tlsServer = core.tls_server

-- -- Errors of handlers --------------------------------------------------------

-- libws.onerror = function(err, traceback) ... end is called with what handlers
-- raise; nil brings the report on stderr back.
return setmetatable(libws, {
  __index = function(_, key)
    return key == "onerror" and errors.handler or nil
  end,
  __newindex = function(t, key, value)
    if key == "onerror" then
      errors.set_handler(value)
    else
      rawset(t, key, value)
    end
  end,
})
