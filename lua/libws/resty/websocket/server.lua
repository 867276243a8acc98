--- In place of require "resty.websocket.server".

local frames = require "libws.resty.frames"
local resty = require "libws.resty"

local Server = setmetatable({}, { __index = frames.Frames })
Server.__index = Server

--- Returns a WebSocket of the request; or nil, message, and then the request has
-- been answered.
function Server.new(class, options)
  local self = frames.new(class, options)
  local ws, problem = resty.upgrade(frames.options(options))
  if not ws then
    return nil, problem
  end
  self.ws = ws
  return self
end

return Server
