--- The methods of lua-resty-websocket on a WebSocket of libws, for programs that
-- move: libws.resty.websocket.server and .client stand on it.
--
-- What libws does by itself stays done: pings and Close frames are answered, and
-- fragments put together, before recv_frame() returns. send_pong() and
-- send_close() after that do no harm.

local frames = {}

-- The words for opcodes that recv_frame() returns with data.
local TEXT, BINARY = "text", "binary"

local OPEN = 1
local MILLISECONDS = 1000

local Frames = {}
Frames.__index = Frames
frames.Frames = Frames

--- Options of lua-resty-websocket as options of a connection.
function frames.options(given)
  given = given or {}
  return { max_message = given.max_recv_len or given.max_payload_len }
end

function frames.new(class, given)
  local timeout = given and given.timeout
  return setmetatable({
    ws = false,
    fatal = false,
    has_ended = false, -- recv_frame() has returned the Close frame.
    timeout = timeout and timeout / MILLISECONDS,
  }, class)
end

--- In milliseconds.
function Frames:set_timeout(timeout)
  self.timeout = timeout and timeout / MILLISECONDS
  return true
end

--- Returns data, "text" or "binary"; a reason, "close", code; or nil, nil, message.
function Frames:recv_frame()
  if not self.ws or self.fatal then
    return nil, nil, self.fatal and "fatal error already happened" or "not initialized yet"
  end
  local data, binary, code, reason = self.ws:receive(self.timeout)
  if data then
    return data, binary and BINARY or TEXT
  elseif binary == "timeout" then
    return nil, nil, "failed to receive: timeout"
  end
  if code ~= 1006 and not self.has_ended then
    self.has_ended = true
    return reason, "close", code ~= 1005 and code or nil
  end
  self.fatal = true
  return nil, nil, "failed to receive: closed"
end

--- Sends by `send(ws)`. Returns a count of bytes; or nil, message.
local function try_to_send(self, count, send)
  local ws = self.ws
  if not ws then
    return nil, "not initialized yet"
  elseif ws.readyState ~= OPEN then
    return nil, "closed"
  end
  send(ws)
  local ok, problem = ws:drain(self.timeout)
  if not ok then
    return nil, problem
  end
  return count
end

function Frames:send_text(data)
  return try_to_send(self, #data, function(ws)
    ws:send(data)
  end)
end

function Frames:send_binary(data)
  return try_to_send(self, #data, function(ws)
    ws:sendBinary(data)
  end)
end

function Frames:send_ping(data)
  return try_to_send(self, #(data or ""), function(ws)
    ws:ping(data)
  end)
end

function Frames:send_pong(data)
  return try_to_send(self, #(data or ""), function(ws)
    ws:pong(data)
  end)
end

--- Harmless when the peer was first.
function Frames:send_close(code, reason)
  if not self.ws then
    return nil, "not initialized yet"
  end
  self.ws:closeWith(code, reason)
  return #(reason or "")
end

return frames
