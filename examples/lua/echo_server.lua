-- echo_server.lua - sends every message back to where it came from.
--
--     lua echo_server.lua [PORT]
--
-- The smallest server. Ctrl-C ends it.
local libws = require "libws"

local server = assert(libws.serve {
  host = "127.0.0.1",
  port = tonumber(arg[1]) or 8080,
  compression = true,
  onconnection = function(ws)
    ws.onmessage = function(ev)
      ws:send(ev.data, { binary = ev.binary })
    end
  end,
})

print("listening on " .. server.url)
io.stdout:flush()
libws.run()
