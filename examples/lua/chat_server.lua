-- chat_server.lua - rooms in which everybody hears everybody.
--
--     lua chat_server.lua [PORT]
--
-- The path of the URL is the room: all that come to ws://127.0.0.1:8080/tea are
-- together. The first message of a client is its name, all others are said to
-- the room. A room is a topic: a message is framed once, however many hear it.
-- Each client is served by one coroutine, from its arrival to its end.
local libws = require "libws"

local MAX_NAME = 31

local function serve(ws, request)
  local room = request.path
  local server = ws.server

  local name = ws:receive(60)
  if not name or #name == 0 or #name > MAX_NAME then
    return ws:closeWith(1008, "a name first, please")
  end
  ws:subscribe(room)
  server:publish(room, name .. " has come")
  while true do
    local line = ws:receive()
    if not line then
      break
    end
    server:publish(room, name .. ": " .. line)
  end
  server:publish(room, name .. " has gone")
end

local server = assert(libws.serve {
  port = tonumber(arg[1]) or 8080,
  max_message = 2048,
  onconnection = serve,
})

print("listening on " .. server.url)
io.stdout:flush()
libws.run()
