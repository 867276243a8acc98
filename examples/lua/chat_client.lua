-- chat_client.lua - a client of chat_server.lua that says a few things.
--
--     lua chat_client.lua URL NAME [LINE...]
--
-- The browser's way: an object, handlers, and a loop that calls them. The
-- connection is made again when it is lost.
local libws = require "libws"

local url, name = arg[1], arg[2]
if not name then
  io.stderr:write "usage: chat_client.lua URL NAME [LINE...]\n"
  os.exit(2)
end

local ws = libws.WebSocket(url, nil, { reconnect = true })

ws.onopen = function()
  ws:send(name)
  for i = 3, #arg do
    ws:send(arg[i])
    libws.sleep(0.1) -- A handler may wait; the others go on meanwhile.
  end
  ws:close(1000)
end

ws.onmessage = function(ev)
  print(ev.data)
end

ws:addEventListener("reconnect", function(ev)
  io.stderr:write(("lost (%s), again in %.1f s\n"):format(ev.error.message, ev.delay))
end)

ws.onerror = function(ev)
  io.stderr:write(ev.message, "\n")
end

libws.run()
