--- HTTP headers as a table: names in lower case, found in any case, values of one
-- name joined by commas (RFC 9110 section 5.2). Since that is wrong for
-- Set-Cookie, and to keep the order, requests and responses have `rawHeaders`
-- too: {name, value, name, value, ...} as they came.

local headers = {}

local meta = {
  __index = function(self, name)
    return type(name) == "string" and rawget(self, name:lower()) or nil
  end,
}

function headers.new(raw)
  local self = {}
  for i = 1, #raw, 2 do
    local name, value = raw[i]:lower(), raw[i + 1]
    self[name] = self[name] and self[name] .. ", " .. value or value
  end
  return setmetatable(self, meta)
end

--- Gives a request or response from C its two kinds of headers.
function headers.adorn(message)
  if message then
    message.rawHeaders = message.headers
    message.headers = headers.new(message.rawHeaders)
  end
  return message
end

return headers
