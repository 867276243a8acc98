--- What an nginx worker knows of its connections: who subscribes to which topic,
-- and that all have to go when the worker does. Nothing of it is seen by other
-- workers.
--
-- All sets are weak. Of a request that is aborted nobody is told; its connections
-- disappear with it.

local codec = require "libws.codec"
local errors = require "libws.errors"
local options = require "libws.options"
local websocket = require "libws.websocket"

local OPEN = 1
local GOING_AWAY = 1001

-- Seconds between looks after the connections.
local WATCH_TIME = 1

local worker = {}

local function new_set()
  return setmetatable({}, { __mode = "k" })
end

-- -- Topics --------------------------------------------------------------------

-- By topic: the connections that subscribe to it. They alone keep the set, in
-- connection.topics.
local topics = setmetatable({}, { __mode = "v" })

local function check_topic(topic)
  if type(topic) ~= "string" then
    errors.raise("TypeError", "topic: string expected, got %s", type(topic))
  end
end

local function subscribe(connection, topic)
  check_topic(topic)
  local members = topics[topic] or new_set()
  topics[topic] = members
  connection.topics[topic] = members
  members[connection] = true
end

local function unsubscribe(connection, topic)
  check_topic(topic)
  local members = connection.topics[topic]
  if members then
    members[connection] = nil
    connection.topics[topic] = nil
  end
end

-- -- The server ----------------------------------------------------------------

--- The sockets that upgrade() has made, as what libws.serve() returns.
local Server = {}
Server.__index = Server
Server.__name = "libws.Server"

local server = setmetatable({
  -- The sockets that are open.
  clients = new_set(),
}, Server)
worker.server = server

-- How messages for many are made: for connections without compression, and with.
local configs = {
  [false] = codec.config "server",
  [true] = codec.config("server", { compression = true }),
}

--- Sends to those of a set of connections that are open. The message is framed,
-- and deflated, once.
local function send_to(members, data, o)
  o = options.check(o, "options")
  local except = o.except
  if except ~= nil and not websocket.is(except) then
    errors.raise("TypeError", "except: WebSocket expected, got %s", type(except))
  end
  local function make(config)
    return codec.message(config, data, o.binary, o.compress == false)
  end
  local messages = { [false] = make(configs[false]) }
  for connection in pairs(members) do
    if connection.ws ~= except and connection:ready_state() == OPEN then
      local is_packed = connection:extensions() ~= ""
      messages[is_packed] = messages[is_packed] or make(configs[is_packed])
      connection:publish(messages[is_packed])
    end
  end
end

--- Sends to all subscribers of a topic in this worker. Options: binary, compress,
-- except (a socket).
function Server.publish(_, topic, data, o)
  check_topic(topic)
  send_to(topics[topic] or {}, data, o)
end

--- Sends to all open sockets of this worker.
function Server:broadcast(data, o)
  local members = {}
  for ws in pairs(self.clients) do
    members[ws._handle] = true
  end
  send_to(members, data, o)
end

-- -- Looking after connections -------------------------------------------------

local connections = new_set()
local is_watched = false

local watch

local function close_all()
  for connection in pairs(connections) do
    connection:close_with(GOING_AWAY)
  end
end

--- nginx calls timers early, with `is_exiting`, when the worker is told to go. It
-- does so outside its loop, which would not look at woken semaphores before the
-- next event; hence another timer.
local function on_timer(is_exiting)
  is_watched = false
  if is_exiting then
    ngx.timer.at(0, close_all)
    return
  end
  for connection in pairs(connections) do
    connection:look_after_reader()
  end
  if next(connections) then
    watch()
  end
end

function watch()
  is_watched = ngx.timer.at(WATCH_TIME, on_timer) or false
end

-- -- Connections ---------------------------------------------------------------

local function forget(connection)
  connections[connection] = nil
  server.clients[connection.ws] = nil
  for topic in pairs(connection.topics or {}) do
    unsubscribe(connection, topic)
  end
end

--- Takes a client's connection in.
function worker.add(connection)
  connections[connection] = true
  connection.on_end = forget
  if ngx.worker.exiting() then
    connection:close_with(GOING_AWAY)
  elseif not is_watched then
    watch()
  end
end

--- Takes the connection of a server's socket in, which can subscribe to topics.
function worker.add_client(connection, ws)
  server.clients[ws] = true
  connection.topics = {}
  connection.subscribe, connection.unsubscribe = subscribe, unsubscribe
  worker.add(connection)
end

return worker
