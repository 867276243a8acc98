-- guest.lua - a guest of `libws serve --chat`, written in Lua.
--
--     lua guest.lua URL NAME
--
-- It joins, says hello, and answers whoever says @NAME. guest.c and guest.py are
-- the same program.
local libws = require "libws"

local url, name = arg[1], arg[2]
local heard = 0

local ws = libws.WebSocket(url)

-- Lua has no JSON of its own. What the chat sends is an object of texts and
-- numbers; a text is left as it is in JSON, so that it can stand in JSON again.
local function field(object, key)
  local from = select(2, object:find('"' .. key .. '":"', 1, true))
  if not from then
    return ""
  end
  local to = from + 1
  while object:sub(to, to) ~= '"' do
    to = to + (object:sub(to, to) == "\\" and 2 or 1)
  end
  return object:sub(from + 1, to - 1)
end

local function say(text)
  ws:send('{"type":"say","text":"' .. text .. '"}')
end

ws.onopen = function()
  ws:send('{"type":"join","name":"' .. name .. '"}')
  say("Hello from " .. _VERSION .. ". Say @" .. name .. " and I answer.")
end

ws.onmessage = function(event)
  local who = field(event.data, "name")
  if field(event.data, "type") ~= "said" or who == name then
    return
  end
  heard = heard + 1
  if field(event.data, "text"):find("@" .. name, 1, true) then
    say(who .. ", I have heard " .. heard .. " messages so far.")
  end
end

ws.onerror = function(event)
  io.stderr:write("guest.lua: ", event.message, "\n")
end

libws.run() -- Until the server closes.
