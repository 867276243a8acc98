--- libws inside Copas.
--
--   require "libws.copas".attach()
--   copas.addthread(function() local ws = libws.connect(url) ... end)
--   copas.loop()

local copas = require "copas"
local libws = require "libws"

local bridge = {}

local function ignore() end

--- An object that Copas takes for a socket. It is readable when the loop is, and
-- has "received" something after that.
local function socket_of(loop)
  local has_waited = true
  return {
    getfd = function()
      return loop:fd()
    end,
    dirty = function()
      return false
    end,
    receive = function()
      has_waited = not has_waited
      if has_waited then
        return ""
      end
      return nil, "timeout", ""
    end,
    settimeout = ignore,
    close = ignore,
  }
end

-- Copas 2 has calls to pause a thread and to wake it. Before that, a queue that
-- loses the thread pauses it, and addthread() resumes it.
local lost = { insert = ignore, push = ignore }

local function park()
  if copas.wakeup then
    copas.sleep(-1)
  else
    coroutine.yield(lost, lost)
  end
end

local function unpark(waiter)
  (copas.wakeup or copas.addthread)(waiter.co)
end

--- Has Copas run `loop` (default: libws.loop()).
function bridge.attach(loop)
  loop = loop or libws.loop()
  local socket = socket_of(loop)
  local is_watched = false

  local function watch()
    while loop:is_alive() do
      copas.receive(socket)
      loop:step(0)
    end
    is_watched = false
  end

  loop:attach {
    start = function()
      if not is_watched then
        is_watched = true
        copas.addthread(watch)
      end
    end,
    spawn = copas.addthread,
    park = park,
    unpark = unpark,
  }
end

return bridge
