--- Echoes binary messages: lua-http, as its documentation shows.

local http_server = require "http.server"
local websocket = require "http.websocket"

local server = assert(http_server.listen {
  host = "127.0.0.1",
  port = 0,
  onstream = function(_, stream)
    local ws = assert(websocket.new_from_stream(stream, assert(stream:get_headers())))
    assert(ws:accept {})
    repeat
      local data, kind = ws:receive()
    until not data or not ws:send(data, kind)
    ws:close()
  end,
  onerror = function() end, -- Clients that leave.
})

assert(server:listen())
local _, host, port = server:localname()
print(("listening on ws://%s:%d"):format(host, port))
io.stdout:flush()
assert(server:loop())
