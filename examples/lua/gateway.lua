-- gateway.lua - carries messages between clients and another server.
--
--     lua gateway.lua UPSTREAM [PORT]
--
-- For each client there is one connection to the server at the URL UPSTREAM, with
-- the path and the subprotocols of the client. Each side has a compression of its
-- own, and who is slow slows the other side down.
local libws = require "libws"

local GOING_AWAY, NO_CODE, BROKEN, BAD_GATEWAY = 1001, 1005, 1006, 1014

local upstream_url = arg[1]
if not upstream_url then
  io.stderr:write "usage: gateway.lua UPSTREAM [PORT]\n"
  os.exit(2)
end

--- Carries what comes until `from` ends, and then ends `to` in the same way.
-- `code_if_broken` stands for an end without a Close frame.
local function carry(from, to, code_if_broken)
  local data, binary = from:receive()
  while data do
    to:send(data, { binary = binary })
    to:drain()
    data, binary = from:receive()
  end
  local code, reason = from:waitClosed()
  if code == NO_CODE then
    to:close()
  elseif code == BROKEN then
    to:closeWith(code_if_broken)
  else
    to:closeWith(code, reason)
  end
end

-- The upstream connection of each handshake that has been accepted.
local upstreams = setmetatable({}, { __mode = "k" })

local server = assert(libws.serve {
  port = tonumber(arg[2]) or 8080,
  compression = true,
  -- The client is answered when the server behind has answered.
  onupgrade = function(request)
    local upstream, message = libws.connect(upstream_url .. request.target, { protocols = request.protocols })
    if not upstream then
      io.stderr:write("gateway: ", message, "\n")
      return 502
    end
    upstreams[request] = upstream
    return upstream.protocol
  end,
  onconnection = function(client, request)
    local upstream = upstreams[request]
    libws.spawn(carry, upstream, client, BAD_GATEWAY)
    carry(client, upstream, GOING_AWAY)
  end,
})

print("listening on " .. server.url)
io.stdout:flush()
libws.run()
