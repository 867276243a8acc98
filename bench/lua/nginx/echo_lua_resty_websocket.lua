--- Echoes binary messages: lua-resty-websocket, as its documentation shows.

local server = require "nginx.websocket.server" -- Debian's name for it.

local wb = assert(server:new { timeout = 60000, max_payload_len = 16 * 1024 * 1024 })
while true do
  local data, kind = wb:recv_frame()
  if kind == "binary" then
    assert(wb:send_binary(data))
  elseif kind == "ping" then
    assert(wb:send_pong(data))
  elseif not data or kind == "close" then
    return wb:send_close()
  end
end
