-- A server under test: echoes, and serves the files of a folder.
--
--     lua echo_server.lua [compression] [cert=FILE key=FILE] [root=FOLDER]
local libws = require "libws"

local given = {}
for _, word in ipairs(arg) do
  local name, value = word:match "^(%w+)=(.*)$"
  given[name or word] = value or true
end

local server = assert(libws.serve {
  port = 0,
  root = given.root,
  compression = given.compression,
  max_message = 32 * 1024 * 1024,
  max_send_queue = 64 * 1024 * 1024,
  tls = given.cert and { cert = given.cert, key = given.key },
  onconnection = function(ws)
    ws.onmessage = function(ev)
      ws:send(ev.data, { binary = ev.binary })
    end
  end,
})

print("listening on " .. server.url)
io.stdout:flush()
libws.run()
