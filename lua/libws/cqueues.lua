--- libws inside cqueues.
--
--   local cq = require "cqueues".new()
--   require "libws.cqueues".attach(cq)
--   cq:wrap(function() local ws = libws.connect(url) ... end)
--   cq:loop()

local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local libws = require "libws"

local bridge = {}

--- Has the controller `cq` run `loop` (default: libws.loop()).
function bridge.attach(cq, loop)
  loop = loop or libws.loop()
  local readable = { pollfd = loop:fd(), events = "r" }
  local is_watched = false

  local function watch()
    while loop:is_alive() do
      cqueues.poll(readable)
      loop:step(0)
    end
    is_watched = false
  end

  local host = {}
  function host.start()
    if not is_watched then
      is_watched = true
      cq:wrap(watch)
    end
  end
  function host.spawn(fn)
    cq:wrap(fn)
  end
  function host.park(waiter)
    waiter.gate = condition.new()
    while not waiter.is_awake do
      waiter.gate:wait()
    end
  end
  function host.unpark(waiter)
    waiter.gate:signal()
  end
  loop:attach(host)
end

return bridge
