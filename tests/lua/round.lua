-- What failing_alloc and states run, and valgrind: a server, a client, messages, the
-- codec. It has to end whatever fails, so it waits for nothing longer than so many
-- turns.
local MAX_TURNS = 100

local libws = require "libws"
local codec = require "libws.codec"
libws.onerror = function() end

local function over_sockets()
  local loop = libws.Loop()
  local is_done = false
  local server = assert(libws.serve {
    loop = loop,
    port = 0,
    compression = true,
    compression_threshold = 1,
    protocols = { "a", "b" },
    onupgrade = function(request)
      return request.protocols[1]
    end,
    onconnection = function(ws, request)
      ws:subscribe(request.path)
      local data = ws:receive()
      ws.server:publish(request.path, data or "")
    end,
  })
  local ws = libws.WebSocket(server.url .. "/x", { "b" }, { loop = loop, headers = { ["X-A"] = { "1", "2" } } })
  ws.onopen = function()
    ws:send(("hello "):rep(100))
  end
  ws.onmessage = function()
    ws:close(3000, "bye")
  end
  ws.onclose = function()
    is_done = true
  end
  local turns = 0
  while not is_done and turns < MAX_TURNS do
    loop:step(0.001)
    turns = turns + 1
  end
  loop:close()
end

local function in_memory()
  local client = codec.conn("client", 0, { compression_threshold = 1 })
  local server = codec.conn("server", 0, { compression = true, hosts = { "h" } })
  client:connect("ws://u:p@h/", { "a" }, { { "X-A", "1" } })
  for _ = 1, 4 do
    for from, to in pairs { [client] = server, [server] = client } do
      local output = from:output()
      if output then
        to:feed(output)
      end
      local kind = to:next()
      while kind do
        if kind == codec.REQUEST then
          to:accept "a"
        elseif kind == codec.OPEN then
          to:send(("x"):rep(2000), true)
        end
        kind = to:next()
      end
    end
  end
  codec.url "ws://h/"

  -- A message for many, and output that is looked at before it is taken.
  local config = codec.config("server", { compression = true })
  local one, two = codec.conn(config, 0), codec.conn(config, 0)
  for _, conn in ipairs { one, two } do
    local asking = codec.conn("client", 0)
    asking:connect "ws://h/"
    conn:feed(asking:output())
    if conn:next() == codec.REQUEST then
      conn:accept()
    end
    if conn:next() == codec.OPEN then
      conn:send_message(codec.message(config, ("x"):rep(2000)))
      conn:send_and_peek(10000, ("y"):rep(5000), true, false, true)
    end
    while conn:queued() > 0 do
      conn:consume(#(conn:peek(1000) or ""))
    end
  end
end

--- What a connection holds outlives the module that made it.
local function loaded_again()
  local conn = codec.conn("server", 0)
  conn:feed "GET / HTTP/1.1\r\n"
  package.loaded["libws.codec"] = nil
  require "libws.codec"
  collectgarbage()
  collectgarbage()
  conn:free()
end

in_memory()
over_sockets()
loaded_again()
