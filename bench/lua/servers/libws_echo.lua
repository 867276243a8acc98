--- Echoes binary messages: libws on its own loop.

local libws = require "libws"

local server = assert(libws.serve {
  host = "127.0.0.1",
  port = 0,
  max_message = 16 * 1024 * 1024,
  onconnection = function(ws)
    ws.onmessage = function(e)
      ws:sendBinary(e.data)
    end
  end,
})

print("listening on " .. server.url)
io.stdout:flush()
libws.run()
