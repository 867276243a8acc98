--- The loop: waits, pulls events from C and calls the handlers.
--
-- Handlers may wait on every VM, although PUC Lua 5.1 has no pcall that can be
-- yielded across: they are called by a coroutine, the pump, which also pulls the
-- events. As long as handlers return it goes on for ever and costs nothing. When
-- one waits, the pump is its coroutine from then on, and when one raises, the
-- pump dies of it; in both cases a new pump goes on with the next listener of
-- the same event. So what is being dispatched is kept in the loop, not in local
-- variables of the pump.

local core = require "libws.core"
local errors = require "libws.errors"
local event = require "libws.event"
local target = require "libws.target"

local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local running, status = coroutine.running, coroutine.status
local PHASE, IS_STOPPED, TYPE = event.PHASE, event.IS_STOPPED, event.TYPE

-- What our own coroutines yield; anything else is meant for the host.
local TURN_IS_OVER, IS_PARKED = {}, {}

-- Timers that are kept to be used again.
local MAX_SPARE_TIMERS = 64

local Loop = {}
Loop.__index = Loop
Loop.__name = "libws.Loop"

--- The running coroutine, nil for the main one.
local function current()
  local co, is_main = running()
  return not is_main and co or nil
end

--- Makes a loop. Options: backend, receive_buffer, send_buffer.
function Loop.new(options)
  local loop = setmetatable({
    handle = core.loop(options),
    -- Who the events are for, by id: WebSockets (weak, so that those nobody can
    -- hear of any more are collected), requests that wait, servers, timers.
    sockets = setmetatable({}, { __mode = "v" }),
    requests = {},
    servers = {},
    timers = {},
    -- Objects that live as long as they are here.
    roots = {},
    spare_timers = {},
    -- Which coroutines are ours, and who handles what they die of.
    guards = setmetatable({}, { __mode = "k" }),
    -- What a coroutine waits for, by coroutine; see is_waiting().
    parked = setmetatable({}, { __mode = "k" }),
    -- What is being dispatched: an event, its listeners, which is the next.
    event = nil,
    listeners = nil,
    at = 1,
    pump = nil,
    is_turning = false, -- In a turn: handlers are being called.
    is_running = false, -- In run().
    is_stopped = false,
    -- Another event loop that this one runs in; see Loop:attach().
    host = nil,
  }, Loop)
  return loop
end

--- Checks the option `loop`, nil for none.
function Loop.check(loop)
  if loop ~= nil and getmetatable(loop) ~= Loop then
    errors.raise("TypeError", "loop: Loop expected, got %s", type(loop))
  end
  return loop
end

-- Functions by event type: on[type](loop, id, values...) -> event, listeners.
-- libws.websocket and libws.server fill it in.
Loop.on = {}

-- -- Coroutines ----------------------------------------------------------------

--- Whether a coroutine is the host's to park and resume.
local function is_hosts(loop, co)
  return loop.host ~= nil and loop.host.park ~= nil and loop.guards[co] == nil
end

--- Lets a coroutine of ours talk to the host until it parks or ends.
local function forward(loop, co, ok, what, ...)
  if not ok or what == IS_PARKED or status(co) == "dead" then
    return loop:settle(co, ok, what)
  end
  return forward(loop, co, resume(co, yield(what, ...)))
end

--- After a resume: reports what it died of, and hands it to the host if it waits
-- for that.
function Loop:settle(co, ok, what, ...)
  if not ok then
    local on_error = self.guards[co]
    errors.report(co, what)
    if on_error then
      on_error(what)
    end
  elseif what ~= IS_PARKED and self.host and self.host.spawn and status(co) ~= "dead" then
    local count, values = select("#", ...), { ... }
    self.host.spawn(function()
      return forward(self, co, true, what, (table.unpack or unpack)(values, 1, count))
    end)
  end
end

--- Calls fn(...) in a coroutine of its own. `on_error(err)` is called when it
-- raises, after the error has been reported.
function Loop:spawn(fn, on_error, ...)
  if type(fn) ~= "function" then
    errors.raise("TypeError", "spawn: function expected, got %s", type(fn))
  end
  local co = create(fn)
  self.guards[co] = on_error or false
  return self:settle(co, resume(co, ...))
end

--- Whether a waiter still waits. Its coroutine may have been closed, or its wait
-- have ended with an error: in PUC Lua 5.1 under pcall, which cannot be yielded
-- across.
local function is_waiting(loop, waiter)
  local co = waiter.co
  return not co or loop.parked[co] == waiter and status(co) == "suspended"
end

--- Has the coroutine wait. Resumed by somebody else, such as a scheduler that
-- resumes all of its coroutines, it goes on waiting.
local function park(loop, waiter)
  loop.parked[waiter.co] = waiter
  if is_hosts(loop, waiter.co) then
    loop.host.park(waiter)
    return
  end
  repeat
    yield(IS_PARKED)
  until waiter.is_awake
end

--- Takes away who waits there.
local function take_waiter(loop, place, key)
  local waiter = place[key]
  place[key] = nil
  if waiter.timer then
    loop:clear_timer(waiter.timer)
  end
  return waiter
end

--- Has the caller wait until wake(place, key). In a coroutine it yields, outside
-- it runs the loop. Returns false if `timeout` seconds went by before.
function Loop:suspend(place, key, timeout)
  if timeout and type(timeout) ~= "number" then
    errors.raise("TypeError", "timeout: number expected, got %s", type(timeout))
  end
  if place[key] then
    if is_waiting(self, place[key]) then
      errors.raise("InvalidStateError", "another coroutine is waiting for the same already")
    end
    take_waiter(self, place, key)
  end
  local waiter = { co = current(), is_awake = false, is_late = false }
  if timeout then
    waiter.timer = self:set_timer(timeout, function()
      waiter.is_late = true
      self:wake(place, key)
    end)
  end
  place[key] = waiter
  if waiter.co then
    park(self, waiter)
  else
    self:run_until_awake(place, key, waiter)
  end
  return not waiter.is_late
end

local function step_until_awake(loop, waiter)
  while not waiter.is_awake do
    if not loop.handle:is_alive() then
      errors.raise("InvalidStateError", "nothing is left in the loop to wait for")
    end
    loop:step()
  end
end

--- Outside of coroutines. An error, such as an interrupt of the user, ends the
-- waiting.
function Loop:run_until_awake(place, key, waiter)
  local ok, err = pcall(step_until_awake, self, waiter)
  if not ok then
    self:wake(place, key)
    error(err, 0)
  end
end

--- Wakes who waits there, if anybody does.
function Loop:wake(place, key)
  if not place[key] then
    return
  end
  local waiter = take_waiter(self, place, key)
  local co = waiter.co
  if not co then
    waiter.is_awake = true
  elseif is_waiting(self, waiter) then
    waiter.is_awake = true
    self.parked[co] = nil
    if is_hosts(self, co) then
      self.host.unpark(waiter)
    else
      self:settle(co, resume(co))
    end
  end
end

-- -- Dispatching ---------------------------------------------------------------

--- Calls the listeners of self.event from self.at on, in the pump `me`. Returns
-- false if one of them waited, and another pump has taken over meanwhile.
local function deliver(loop, me)
  local e, listeners = loop.event, loop.listeners
  while not e[IS_STOPPED] do
    local listener = listeners[loop.at]
    if not listener then
      break
    end
    loop.at = loop.at + 1
    if not listener.is_removed then
      target.take(e[event.TARGET]._listeners, e[TYPE], listener)(e)
      if loop.pump ~= me then
        return false
      end
    end
  end
  e[PHASE] = 0
  loop.event, loop.listeners = nil, nil
  return true
end

local function begin(loop, e, listeners)
  if e then
    loop.event, loop.listeners, loop.at = e, listeners, 1
  end
end

local function pass_on(loop, kind, ...)
  if not kind then
    return false
  end
  begin(loop, Loop.on[kind](loop, ...))
  return true
end

local function pump(loop)
  local me, handle = running(), loop.handle
  local next_event = handle.next
  while true do
    if loop.event and not deliver(loop, me) then
      return
    end
    if (loop.is_running and loop.is_stopped) or not pass_on(loop, next_event(handle)) then
      yield(TURN_IS_OVER)
    end
  end
end

--- Dispatches an event now, whoever calls. Each listener gets a coroutine of its
-- own, so that it may wait or raise without harm to the others.
function Loop:dispatch(e, listeners)
  local lists = e[event.TARGET]._listeners
  for _, listener in ipairs(listeners or {}) do
    if e[IS_STOPPED] then
      break
    end
    if not listener.is_removed then
      self:spawn(target.take(lists, e[TYPE], listener), nil, e)
    end
  end
  e[PHASE] = 0
end

-- -- Turns ---------------------------------------------------------------------

local function after_pump(loop, co, ok, what, ...)
  if ok and what == TURN_IS_OVER then
    return true
  end
  -- A handler has raised, or it waits in what was the pump.
  loop.pump = nil
  loop:settle(co, ok, what, ...)
  return false
end

--- Pulls and dispatches; false if that is to be done again by another pump.
local function run_pump(loop)
  local co = loop.pump
  if not co then
    co = create(pump)
    loop.guards[co] = false
    loop.pump = co
  end
  return after_pump(loop, co, resume(co, loop))
end

local function turn(loop)
  repeat
  until run_pump(loop)
end

--- One turn: waits at most `timeout` seconds (nil: until there is an event), and
-- calls the handlers for what has come.
function Loop:step(timeout)
  if self.is_turning then
    errors.raise("InvalidStateError", "the loop is running already; a handler may wait, but not run it")
  end
  self.handle:wait(timeout)
  self.is_turning = true
  local ok, err = pcall(turn, self)
  self.is_turning = false
  if not ok then
    error(err, 0)
  end
end

--- Runs until stop() is called, or until no socket, server or timer is left.
function Loop:run()
  self.is_running = true
  while not self.is_stopped and self.handle:is_alive() do
    self:step()
  end
  self.is_running, self.is_stopped = false, false
end

--- Has the run() under way, or else the next one, return after the event in
-- progress.
function Loop:stop()
  self.is_stopped = true
end

--- Ends everything in the loop: open sockets send a Close frame with 1001, no
-- more events come.
function Loop:close()
  self.handle:close()
  self.roots, self.requests, self.servers, self.timers = {}, {}, {}, {}
end

Loop.__close = Loop.close

function Loop:is_alive()
  return self.handle:is_alive()
end

--- The descriptor for another event loop to watch for readability, and to call
-- step(0) then.
function Loop:fd()
  return self.handle:fd()
end

function Loop:stats()
  return self.handle:stats()
end

-- -- Hosts ---------------------------------------------------------------------

--- Has another event loop run this one. `host` has the functions
--   start()          there is something to wait for: watch fd(), call step(0)
-- and, if its coroutines are resumed by nobody but itself,
--   spawn(fn)        run fn() in a coroutine of the host
--   park(waiter)     the running coroutine, one of the host's, waits until
--                    waiter.is_awake
--   unpark(waiter)   it is
function Loop:attach(host)
  self.host = host
  if self.handle:is_alive() then
    host.start()
  end
end

--- To be called when something was added that events may come from.
function Loop:started()
  if self.host then
    self.host.start()
  end
end

-- -- Timers --------------------------------------------------------------------

--- Calls fn() after so many seconds, in the pump. Returns what clear_timer()
-- takes; the timer is used again, so it has to be cleared exactly once.
function Loop:set_timer(seconds, fn)
  local timer = table.remove(self.spare_timers)
  if not timer then
    timer = {}
    timer.handle, timer.id = self.handle:timer()
  end
  timer.handle:set(seconds)
  self.timers[timer.id] = fn
  self:started()
  return timer
end

function Loop:clear_timer(timer)
  self.timers[timer.id] = nil
  if #self.spare_timers < MAX_SPARE_TIMERS then
    timer.handle:set(nil)
    table.insert(self.spare_timers, timer)
  else
    timer.handle:close()
  end
end

Loop.on[core.TIMER] = function(loop, id)
  local fn = loop.timers[id]
  if fn then
    fn()
  end
end

--- Waits so many seconds.
function Loop:sleep(seconds)
  if type(seconds) ~= "number" then
    errors.raise("TypeError", "sleep: number expected, got %s", type(seconds))
  end
  self:suspend({}, "is_asleep", seconds)
end

local Timer = {}
Timer.__index = Timer
Timer.__name = "libws.Timer"

--- Calls fn() after so many seconds, in a coroutine of its own. Returns a timer
-- with the methods set(seconds), to have it ring (again) that much later, and
-- cancel().
function Loop:timer(seconds, fn)
  if type(fn) ~= "function" then
    errors.raise("TypeError", "timer: function expected, got %s", type(fn))
  end
  local timer = setmetatable({ _loop = self, _fn = fn }, Timer)
  timer:set(seconds)
  return timer
end

function Timer:set(seconds)
  self:cancel()
  local loop = self._loop
  self._timer = loop:set_timer(seconds, function()
    self:cancel()
    loop:spawn(self._fn)
  end)
end

function Timer:cancel()
  if self._timer then
    self._loop:clear_timer(self._timer)
    self._timer = nil
  end
end

return Loop
