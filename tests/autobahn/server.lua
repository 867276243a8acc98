-- The server of libws in Lua for Autobahn's fuzzing client: sends everything back.
-- Those in C and Python are `libws serve` and `python -m libws serve`.
--
--     lua server.lua PORT
local libws = require "libws"

local server = assert(libws.serve {
  host = "127.0.0.1",
  port = tonumber(arg[1]),
  compression = true,
  max_message = false,
  onconnection = function(ws)
    ws.onmessage = function(event) ws:send(event.data, { binary = event.binary }) end
  end,
})
print("listening on " .. server.url)
io.stdout:flush()
libws.run()
