--- What libws.websocket wants of a loop, by the means of nginx: light threads wait
-- on semaphores. It has no state; nginx's own loop does the work.
--
-- Handlers run in the light thread that reads their connection. One that waits,
-- for a database say, holds up the next event of this connection and nothing
-- else; one that waits for its connection has another thread go on reading.

local errors = require "libws.errors"
local event = require "libws.event"
local semaphore = require "ngx.semaphore"
local target = require "libws.target"

local get_request = require("resty.core.base").get_request
local running, status = coroutine.running, coroutine.status
local spawn = ngx.thread.spawn
local PHASE, IS_STOPPED, TARGET, TYPE = event.PHASE, event.IS_STOPPED, event.TARGET, event.TYPE

-- The longest that nginx waits, in seconds: an int in milliseconds.
local FOREVER = 2147483

local loop = { FOREVER = FOREVER }

-- Light threads keep their connection, and this its WebSocket: nothing has to be
-- noted for the garbage collector's sake.
local nothing = setmetatable({}, { __newindex = function() end })
loop.roots, loop.sockets = nothing, nothing

-- -- Waiting -------------------------------------------------------------------

--- Whether the light thread of a gate still waits: it may have been killed. nginx
-- knows the threads of the running request only.
local function is_waiting(gate)
  return gate.request ~= get_request() or status(gate.thread) ~= "dead"
end

local function check_timeout(timeout)
  if timeout and type(timeout) ~= "number" then
    errors.raise("TypeError", "timeout: number expected, got %s", type(timeout))
  elseif timeout and (timeout < 0 or timeout ~= timeout) then
    errors.raise("TypeError", "timeout: must be a time in seconds")
  end
end

--- Has the running light thread wait until wake(ws, key). Returns false if
-- `timeout` seconds went by before.
function loop.suspend(_, ws, key, timeout)
  check_timeout(timeout)
  if ws[key] and is_waiting(ws[key]) then
    errors.raise("InvalidStateError", "another light thread is waiting for the same already")
  end
  local gate = semaphore.new()
  gate.request, gate.thread = get_request(), running()
  ws[key] = gate
  ws._handle:let_others_read()
  local is_awake, problem = gate:wait(math.min(timeout or FOREVER, FOREVER))
  if ws[key] == gate then
    ws[key] = nil
  end
  local inbox = ws._inbox
  if inbox and inbox.first == inbox.last then
    ws._handle:let_answer()
  end
  if problem and problem ~= "timeout" then
    errors.raise("InvalidStateError", "cannot wait here: %s", problem)
  end
  return is_awake or not timeout
end

--- Wakes who waits there, if anybody does; whichever request of the worker it
-- belongs to.
function loop.wake(_, ws, key)
  local gate = rawget(ws, key)
  if gate then
    ws[key] = nil
    gate:post()
  end
end

--- Calls fn() in a light thread of its own, soon or `seconds` later.
function loop.timer(_, seconds, fn)
  spawn(function()
    ngx.sleep(seconds)
    fn()
  end)
end

-- -- Dispatching ---------------------------------------------------------------

local function report(err)
  errors.report(running(), err)
end

local function call(e, listeners, at)
  local listener = listeners[at]
  if not listener or e[IS_STOPPED] then
    return
  end
  if not listener.is_removed then
    xpcall(target.take(e[TARGET]._listeners, e[TYPE], listener), report, e)
  end
  return call(e, listeners, at + 1)
end

--- Calls the listeners of an event. One that raises does not harm the others.
function loop.dispatch(_, e, listeners)
  if listeners then
    call(e, listeners, 1)
  end
  e[PHASE] = 0
end

return loop
