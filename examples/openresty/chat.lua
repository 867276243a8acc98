--- Everybody hears everybody who is connected to the same worker.

local resty = require "libws.resty"

local name = ngx.unescape_uri(ngx.var.arg_name or "somebody")

local ws = resty.upgrade { compression = true }
if not ws then
  return
end

ws.onmessage = function(e)
  resty.server:publish("chat", name .. ": " .. e.data)
end

ws.onclose = function()
  resty.server:publish("chat", name .. " has left")
end

resty.server:publish("chat", name .. " is here")
ws:subscribe "chat"
