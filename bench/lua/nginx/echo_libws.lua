--- Echoes binary messages: libws.resty.

local ws = require("libws.resty").upgrade()
if not ws then
  return
end
ws.onmessage = function(e)
  ws:sendBinary(e.data)
end
