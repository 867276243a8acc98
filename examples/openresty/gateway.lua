--- Carries messages between a client and the server at $upstream, both ways, each
-- side with a compression of its own. Who is slow slows the other side down.

local resty = require "libws.resty"

local GOING_AWAY, NO_CODE, BROKEN, BAD_GATEWAY = 1001, 1005, 1006, 1014

--- What the client offers in Sec-WebSocket-Protocol.
local function offered_protocols()
  local names = {}
  for name in (ngx.var.http_sec_websocket_protocol or ""):gmatch "[^,%s]+" do
    table.insert(names, name)
  end
  return names
end

--- Carries what comes until `from` ends, and then ends `to` in the same way.
-- `code_if_broken` stands for an end without a Close frame.
local function carry(from, to, code_if_broken)
  for data, binary in from:messages() do
    to:send(data, { binary = binary })
    to:drain()
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

local upstream, problem = resty.connect(ngx.var.upstream, { protocols = offered_protocols() })
if not upstream then
  ngx.log(ngx.ERR, "no connection to ", ngx.var.upstream, ": ", problem)
  return ngx.exit(ngx.HTTP_BAD_GATEWAY)
end

local client = resty.upgrade { compression = true, protocols = { upstream.protocol } }
if not client then
  return upstream:close()
end

ngx.thread.spawn(carry, upstream, client, BAD_GATEWAY)
carry(client, upstream, GOING_AWAY)
