--- Servers: libws.serve{...}, and the requests they answer.

local core = require "libws.core"
local errors = require "libws.errors"
local headers = require "libws.headers"
local Loop = require "libws.loop"
local options = require "libws.options"
local tls = require "libws.tls"
local websocket = require "libws.websocket"

-- -- Requests ------------------------------------------------------------------

--- A request that waits for its answer: method, target, path, headers,
-- rawHeaders, protocols, is_upgrade, remote, server.
local Request = {}
Request.__index = Request
Request.__name = "libws.Request"

local function new_request(raw, server, handle)
  local request = headers.adorn(raw)
  request.path = request.target:match "^[^?]*"
  request.server = server
  if handle then
    request.remote = handle:peer_address()
    request._handle = handle
  end
  return setmetatable(request, Request)
end

--- Whether it waits no more: answered, or the client is gone.
function Request:isAnswered()
  return self._is_answered or false
end

local function answer(request, method, ...)
  if request._is_answered then
    errors.raise("InvalidStateError", "the request has been answered, or the client is gone")
  end
  request._handle[method](request._handle, ...)
  request._is_answered = true
end

--- The first of the client's subprotocols that the server speaks; of one that
-- does not say which, the client's first.
local function choose_protocol(request)
  local spoken = request.server._protocols
  for _, offered in ipairs(request.protocols) do
    if not spoken or spoken[offered] then
      return offered
    end
  end
end

--- Accepts a handshake. Options: protocol ("" for none), headers, compression.
function Request:accept(o)
  o = options.check(o, "accept")
  local protocol = o.protocol
  if protocol == nil then
    protocol = choose_protocol(self)
  elseif protocol == "" then
    protocol = nil
  end
  answer(self, "accept", protocol, o.headers, o.compression)
end

--- Answers with plain HTTP.
function Request:respond(status, body, fields)
  answer(self, "respond", status, body, fields)
end

--- Answers with the file under the folder `root` that the target names, or with
-- 404 or 405.
function Request:respondFile(root)
  answer(self, "respond_file", root)
end

--- What a hook returns is the answer, unless it has given one itself.
local function answer_with(request, result, default_status)
  if request._is_answered then
    return
  elseif type(result) == "table" then
    request:respond(result.status or 200, result.body, result.headers)
  elseif type(result) == "number" then
    request:respond(result)
  elseif request.is_upgrade and (result == nil or result == true) then
    request:accept()
  elseif request.is_upgrade and type(result) == "string" then
    request:accept { protocol = result }
  else
    request:respond(default_status)
  end
end

--- Lets a hook answer, now or after it has waited. One that raises is a 500.
local function ask(loop, hook, request, default_status)
  loop:spawn(function()
    answer_with(request, hook(request), default_status)
  end, function()
    if not request._is_answered then
      request:respond(500)
    end
  end)
end

-- -- Servers -------------------------------------------------------------------

local Server = {}
Server.__index = Server
Server.__name = "libws.Server"

-- What is not for the C options of a server: for listening, and for us.
local listen_names = {
  host = true,
  port = true,
  unix = true,
  unix_mode = true,
  fd = true,
  tls = true,
  backlog = true,
  reuse_port = true,
}
local own_names = {
  loop = true,
  onconnection = true,
  onupgrade = true,
  onrequest = true,
  onerror = true,
  onclose = true,
  client_tracking = true,
}

local function check_hooks(own)
  for name, value in pairs(own) do
    if name:match "^on" and type(value) ~= "function" then
      errors.raise("TypeError", "%s: function expected, got %s", name, type(value))
    end
  end
end

local function count_places(listen)
  local count = 0
  for _, name in ipairs { "port", "unix", "fd" } do
    if listen[name] ~= nil then
      count = count + 1
    end
  end
  return count
end

local function set_of(list)
  if list == nil then
    return nil
  end
  local set = {}
  for _, name in ipairs(type(list) == "table" and list or { list }) do
    set[name] = true
  end
  return set
end

--- Makes a server and begins to listen. Returns it; or nil, message, code.
function Server.new(loop, given)
  local rest, own = options.split(options.check(given, "serve"), own_names)
  local c_options, listen = options.split(rest, listen_names)
  check_hooks(own)
  if count_places(listen) ~= 1 then
    errors.raise("TypeError", "serve: one of port, unix and fd is needed")
  end
  tls.make_server(listen)
  c_options.wants_upgrades = own.onupgrade ~= nil
  c_options.wants_requests = own.onrequest ~= nil

  local server = setmetatable({
    onconnection = own.onconnection,
    onupgrade = own.onupgrade,
    onrequest = own.onrequest,
    onerror = own.onerror,
    onclose = own.onclose,
    -- The sockets that are open; not kept with client_tracking = false.
    clients = {},
    _loop = loop,
    _scheme = listen.tls and "wss://" or "ws://",
    _protocols = set_of(c_options.protocols),
    _high_water = c_options.send_high_water,
    _tracks_clients = own.client_tracking ~= false,
  }, Server)
  server._handle, server._id = loop.handle:serve(c_options)
  local ok, message, code = server._handle:listen(listen)
  if not ok then
    server._handle:close()
    return nil, message, code
  end
  server.port, server.urls = server._handle:port(), server._handle:urls()
  server.url = server.urls[1]
  loop.servers[server._id] = server
  loop:started()
  return server
end

--- Ends it in good order: 1001 (or `code`) to every socket, which are dropped
-- after `timeout` seconds (default: close_timeout).
function Server:close(code, reason, timeout)
  if not self.closed then
    self._handle:close(code, reason, timeout)
  end
end

Server.__close = Server.close

--- Serves a connection that was accepted elsewhere: the descriptor of a connected
-- socket, which is the server's from now on; what was read from it already; and
-- for wss a TLS context, or its options. Returns true; or nil, message, code.
function Server:adopt(fd, data, context)
  local o = { tls = context }
  tls.make_server(o)
  return self._handle:adopt(fd, data, o.tls)
end

--- Stops listening and nothing else.
function Server:stopListening()
  self._handle:stop_listening()
end

local function send_options(o)
  o = options.check(o, "options")
  local except = o.except
  if except ~= nil and not websocket.is(except) then
    errors.raise("TypeError", "except: WebSocket expected, got %s", type(except))
  end
  return o.binary, o.compress == false, except and except._handle
end

--- Sends to all subscribers of a topic. Options: binary, compress, except (a
-- socket).
function Server:publish(topic, data, o)
  if type(topic) ~= "string" then
    errors.raise("TypeError", "topic: string expected, got %s", type(topic))
  end
  self._handle:publish(topic, data, send_options(o))
end

--- Sends to all open sockets.
function Server:broadcast(data, o)
  self._handle:publish(nil, data, send_options(o))
end

function Server:stats()
  return self._handle:stats()
end

--- Waits until all has ended after close(). Returns true; or nil, "timeout".
function Server:waitClosed(timeout)
  if not self.closed and not self._loop:suspend(self, "_closer", timeout) then
    return nil, "timeout"
  end
  return true
end

-- -- Events from below ---------------------------------------------------------

--- The socket gets an inbox for as long as onconnection runs, which may be going
-- to receive() from it.
local function connect(server, ws, request)
  ws:_open_inbox()
  local function is_done()
    ws:_drop_inbox()
  end
  server._loop:spawn(function()
    server.onconnection(ws, request)
    is_done()
  end, is_done)
end

local function open(loop, id, server, request, handle)
  local ws = websocket.new(handle, {
    _loop = loop,
    _id = id,
    -- Rebuilt (row 383); a browser's socket knows what it was opened with.
    _url = server._scheme .. (request.headers.host or "") .. request.target,
    _origin = request.headers.origin or "",
    _server = server,
    _high_water = server._high_water,
  })
  loop.sockets[id] = ws
  if server._tracks_clients then
    server.clients[ws] = true
  end
  if server.onconnection then
    connect(server, ws, request)
  end
end

Loop.on[core.REQUEST] = function(loop, id, raw, server_id, handle)
  local server = loop.servers[server_id]
  local request = new_request(raw, server, handle)
  loop.requests[id] = request
  if request.is_upgrade then
    ask(loop, server.onupgrade, request, 403)
  else
    ask(loop, server.onrequest, request, 426)
  end
end

Loop.on[core.OPEN] = function(loop, id, raw, response, server_id, handle)
  local ws = loop.sockets[id]
  if ws then
    return websocket.on.open(ws, response)
  elseif server_id then
    local server = loop.servers[server_id]
    local request = loop.requests[id] or new_request(raw, server, handle)
    loop.requests[id] = nil
    open(loop, id, server, request, handle or request._handle)
  end
end

Loop.on[core.CLOSE] = function(loop, id, ...)
  local ws = loop.sockets[id]
  local request = loop.requests[id]
  if request then
    request._is_answered = true
    loop.requests[id] = nil
  elseif ws then
    if ws._server then
      ws._server.clients[ws] = nil
    end
    return websocket.on.close(ws, ...)
  end
end

-- The other events of a socket go to it as they are, if anybody can still see it.
for _, kind in ipairs { "message", "ping", "pong", "drain", "error", "reconnect" } do
  local handle = websocket.on[kind]
  Loop.on[core[kind:upper()]] = function(loop, id, ...)
    local ws = loop.sockets[id]
    if ws then
      return handle(ws, ...)
    end
  end
end

Loop.on[core.SERVER_ERROR] = function(loop, id, code, message)
  local server = loop.servers[id]
  if server and server.onerror then
    loop:spawn(server.onerror, nil, { code = code, message = message })
  end
end

Loop.on[core.SERVER_CLOSE] = function(loop, id)
  local server = loop.servers[id]
  loop.servers[id] = nil
  if not server then
    return
  end
  server.closed = true
  loop:wake(server, "_closer")
  if server.onclose then
    loop:spawn(server.onclose)
  end
end

return Server
