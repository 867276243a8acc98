--- libws.resty: WebSocket inside nginx (OpenResty, or the Lua module for nginx).
--
--   local resty = require "libws.resty"
--
--   content_by_lua_block {                         -- a server
--     local ws = resty.upgrade { compression = true }
--     if not ws then return end                    -- answered already
--     for data, binary in ws:messages() do
--       ws:send(data, { binary = binary })
--     end
--   }
--
--   local ws, err = resty.connect("wss://host/path")  -- a client
--
-- The WebSocket is that of libws, over cosockets: no call blocks the worker. Only
-- libws.codec is loaded, which has no TLS of its own beside nginx's.

local codec = require "libws.codec"
local connection = require "libws.resty.connection"
local dialer = require "libws.resty.dialer"
local errors = require "libws.errors"
local event = require "libws.event"
local headers = require "libws.headers"
local loop = require "libws.resty.loop"
local options = require "libws.options"
local websocket = require "libws.websocket"
local worker = require "libws.resty.worker"

local resty = {
  _VERSION = "libws " .. codec.version,
  Event = event.Event,
  MessageEvent = event.MessageEvent,
  CloseEvent = event.CloseEvent,
  ErrorEvent = event.ErrorEvent,
  -- The sockets of upgrade() in this worker: clients, publish(), broadcast().
  server = worker.server,
}

-- -- Phases --------------------------------------------------------------------

-- Where nginx gives the request's socket away, and where it has cosockets.
local upgrade_phases = { content = true }
local client_phases = {
  rewrite = true,
  server_rewrite = true,
  access = true,
  content = true,
  timer = true,
  ssl_cert = true,
  ssl_client_hello = true,
  ssl_session_fetch = true,
}

local function check_phase(what, phases, where)
  local phase = ngx.get_phase()
  if not phases[phase] then
    errors.raise("InvalidStateError", "%s works in %s, but this is the phase %s", what, where, phase)
  end
end

-- -- Misuse --------------------------------------------------------------------

local function log_misuse(err)
  ngx.log(ngx.ERR, tostring(err), debug.traceback("", 2))
  return err
end

local function pass_on(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

--- Wraps a function that raises error tables: of those that nobody catches, nginx
-- logs no more than "unknown reason".
local function log_what_it_raises(fn)
  return function(...)
    return pass_on(xpcall(fn, log_misuse, ...))
  end
end

-- -- Servers -------------------------------------------------------------------

--- The first of the client's subprotocols that the server speaks; of one that
-- does not say which, the client's first.
local function choose_protocol(offered, spoken)
  if not spoken then
    return offered[1]
  end
  local is_spoken = {}
  for _, name in ipairs(type(spoken) == "table" and spoken or { spoken }) do
    is_spoken[name] = true
  end
  for _, name in ipairs(offered) do
    if is_spoken[name] then
      return name
    end
  end
end

--- Has nginx answer what never reaches the engine.
local function refuse(status, message)
  ngx.status = status
  ngx.say(message)
  return nil, message, "WS_ERR_INVALID_UPGRADE", status
end

--- All that the engine has to say.
local function take_output(engine)
  local parts = {}
  for bytes in engine.output, engine do
    table.insert(parts, bytes)
  end
  return table.concat(parts)
end

--- Judges the request. Returns it, raw; or nil and the refusal: {answer, message,
-- code, status}.
local function judge(engine)
  local kind, raw = engine:receive(ngx.req.raw_header(), connection.now())
  if kind and raw.is_upgrade then -- REQUEST; there is none before a refusal is out.
    return raw
  elseif kind then
    engine:respond(426, "This is a WebSocket server.\n")
    return nil, {
      answer = take_output(engine),
      message = "the request is not a WebSocket handshake",
      code = "WS_ERR_INVALID_UPGRADE",
      status = 426,
    }
  end
  local answer = take_output(engine)
  local _, code, message, _, _, _, status = engine:next() -- ERROR
  return nil, { answer = answer, message = message, code = code, status = status }
end

--- Accepts a handshake. Returns the request as applications see it.
local function accept(engine, raw, o)
  local request = headers.adorn(raw)
  request.path = request.target:match "^[^?]*"
  engine:accept(choose_protocol(request.protocols, o.protocols), o.headers)
  engine:next() -- OPEN
  return request
end

--- Takes the request's socket; the status is for nginx's log.
local function take_socket(status)
  ngx.status = status
  return ngx.req.socket(true)
end

local function new_server_socket(engine, sock, request, o)
  local handle = connection.new(engine, sock, o)
  handle.remote = ngx.var.remote_addr .. ":" .. ngx.var.remote_port
  local ws = websocket.new(handle, {
    _loop = loop,
    _id = handle,
    _url = (o.is_secure and "wss://" or "ws://") .. (request.headers.host or "") .. request.target,
    _origin = request.headers.origin or "",
    _server = worker.server,
    _request = request,
    _high_water = o.send_high_water,
  })
  ws:_open_inbox()
  handle:start(ws)
  worker.add_client(handle, ws)
  return ws
end

--- Makes a WebSocket of the request. Options: protocols (a list, what the server
-- speaks), headers (of the answer), and those of a connection.
--
-- Returns it, open, and nothing comes until the caller waits for something. Or
-- nil, message, code, status: then the request has been answered and the caller
-- has only to return. What the client sends waits for receive() or onmessage; who
-- only sends sets an onmessage that does nothing.
resty.upgrade = log_what_it_raises(function(given)
  check_phase("upgrade()", upgrade_phases, "content_by_lua")
  local o, own = options.split(options.check(given, "upgrade"), { protocols = true, headers = true })
  if o.is_secure == nil then
    o.is_secure = ngx.var.scheme == "https"
  end
  if ngx.req.http_version() > 1.1 then
    return refuse(400, "WebSockets need HTTP/1.1")
  elseif ngx.is_subrequest then
    return refuse(500, "a subrequest has no socket")
  end
  local engine = codec.conn("server", connection.now(), o)
  local raw, refusal = judge(engine)
  local request = raw and accept(engine, raw, own)
  local sock, problem = take_socket(request and 101 or refusal.status)
  if not sock then
    return refuse(500, problem)
  elseif refusal then
    sock:send(refusal.answer)
    return nil, refusal.message, refusal.code, refusal.status
  end
  return new_server_socket(engine, sock, request, o)
end)

-- -- Clients -------------------------------------------------------------------

local client_options = { protocols = true, headers = true, origin = true, tls = true }

local open = log_what_it_raises(function(url, protocols, given)
  check_phase("a WebSocket", client_phases, "phases with cosockets")
  local o, own = options.split(options.check(given, "options"), client_options)
  local target = codec.url(url)
  local dial = dialer.new(target, own.tls)
  local engine = codec.conn("client", connection.now(), o)
  engine:connect(url, protocols, own.headers, own.origin)
  local handle = connection.new(engine, ngx.socket.tcp(), o, dial)
  handle.remote = target.unix_path or (target.host .. ":" .. target.port)
  local ws = websocket.new(handle, {
    _loop = loop,
    _id = handle,
    _url = target.href,
    _origin = target.origin,
    _high_water = o.send_high_water,
  })
  handle:start(ws)
  worker.add(handle)
  return ws
end)

--- The browser's constructor: WebSocket(url, protocols, options). Options:
-- headers, origin, tls, and those of a connection.
resty.WebSocket = websocket.class(open)

--- Opens a connection and waits for it. Returns a WebSocket to send to and
-- receive from; or nil, message, code, response. Options: those of WebSocket, and
-- `protocols`.
function resty.connect(url, given)
  local ws = open(url, given and given.protocols, given)
  ws:_open_inbox()
  local ok, message, code, response = ws:_wait_open()
  if ok then
    return ws
  end
  return nil, message, code, response
end

-- -- Errors of handlers --------------------------------------------------------

local function log_error(_, traceback)
  ngx.log(ngx.ERR, "libws: error in a handler: ", traceback)
end

errors.set_handler(log_error)

-- resty.onerror = function(err, traceback) ... end is called with what handlers
-- raise; nil brings the report in nginx's log back.
return setmetatable(resty, {
  __index = function(_, key)
    return key == "onerror" and errors.handler or nil
  end,
  __newindex = function(t, key, value)
    if key == "onerror" then
      errors.set_handler(value or log_error)
    else
      rawset(t, key, value)
    end
  end,
})
