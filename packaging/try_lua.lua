-- A server and a client of an installed libws.
local libws = require "libws"

local got
local server
server = libws.serve {
  host = "127.0.0.1",
  port = 0,
  onconnection = function(ws)
    ws.onmessage = function(event) ws:send(event.data) end
  end,
}
local ws = libws.WebSocket("ws://127.0.0.1:" .. server.port .. "/")
ws.onopen = function() ws:send("hi") end
ws.onmessage = function(event)
  got = event.data
  ws:close(1000)
end
ws.onclose = function() server:close() end
libws.run()
assert(got == "hi")
print(libws._VERSION, package.searchpath and package.searchpath("libws", package.path))
