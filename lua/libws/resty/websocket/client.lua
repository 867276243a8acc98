--- In place of require "resty.websocket.client". Certificates are verified unless
-- ssl_verify = false says otherwise.

local frames = require "libws.resty.frames"
local resty = require "libws.resty"

local Client = setmetatable({}, { __index = frames.Frames })
Client.__index = Client

function Client.new(class, options)
  local self = frames.new(class, options)
  self.options = frames.options(options)
  return self
end

--- {"Name: value", ...} as {{name, value}, ...}.
local function split_headers(lines)
  local pairs_of = {}
  for _, line in ipairs(lines or {}) do
    local name, value = line:match "^(.-):%s*(.*)$"
    table.insert(pairs_of, { name or line, value or "" })
  end
  return pairs_of
end

--- Returns true; or nil, message.
function Client:connect(uri, options)
  options = options or {}
  local ws, problem = resty.connect(uri, {
    protocols = options.protocols,
    origin = options.origin,
    headers = split_headers(options.headers),
    max_message = self.options.max_message,
    tls = { insecure = options.ssl_verify == false, server_name = options.server_name },
  })
  if not ws then
    return nil, problem
  end
  self.ws, self.fatal, self.has_ended = ws, false, false
  return true
end

--- Ends the connection without waiting for the answer.
function Client:close()
  if not self.ws then
    return nil, "not initialized yet"
  end
  self.ws:close()
  return 1
end

--- A connection that has been a WebSocket cannot be used for another one.
Client.set_keepalive = Client.close

return Client
