--- Event objects, as a browser has them.
--
-- The values lie in the array part, by slot, because an event with a message is
-- made for each message: one small table. Attributes are read through the
-- metatable and cannot be assigned.

local errors = require "libws.errors"

local event = {}

-- The slots that all events have; those of a class follow.
event.TYPE = 1
event.TARGET = 2
event.PHASE = 3 -- 2 (AT_TARGET) while it is dispatched, then 0.
event.IS_TRUSTED = 4
event.IS_STOPPED = 5
event.INIT = 6 -- What a constructor was given, or false.
local TYPE, TARGET, PHASE, IS_TRUSTED, IS_STOPPED, INIT = 1, 2, 3, 4, 5, 6
local FIRST_OWN = 7

-- Of a MessageEvent, behind its data and binary.
local IS_FIRST, IS_LAST = 9, 10

local AT_TARGET = 2

-- Attributes that are worked out.
local common = {
  currentTarget = function(e)
    return e[PHASE] == AT_TARGET and e[TARGET] or nil
  end,
  bubbles = function(e)
    return e[INIT] and e[INIT].bubbles == true
  end,
  cancelable = function(e)
    return e[INIT] and e[INIT].cancelable == true
  end,
  composed = function(e)
    return e[INIT] and e[INIT].composed == true
  end,
  defaultPrevented = function()
    return false
  end,
}

local methods = {
  NONE = 0,
  CAPTURING_PHASE = 1,
  AT_TARGET = AT_TARGET,
  BUBBLING_PHASE = 3,
}

function methods.stopImmediatePropagation(e)
  e[IS_STOPPED] = true
end

-- There is one target and no tree, and no default action.
function methods.stopPropagation() end
function methods.preventDefault() end

function methods.composedPath(e)
  return e[PHASE] == AT_TARGET and { e[TARGET] } or {}
end

--- Makes a class of events. `fields` are the names of its own slots, in order,
-- `defaults` their values when a constructor is not given them, and `computed`
-- further attributes.
local function class(name, fields, defaults, computed)
  local slots = { type = TYPE, target = TARGET, eventPhase = PHASE, isTrusted = IS_TRUSTED }
  for i, field in ipairs(fields) do
    slots[field] = FIRST_OWN + i - 1
  end
  local getters = setmetatable(computed or {}, { __index = common })

  local meta = { __name = name }
  function meta.__index(e, key)
    local slot = slots[key]
    if slot then
      return rawget(e, slot)
    end
    local getter = getters[key]
    if getter then
      return getter(e)
    end
    return methods[key]
  end
  function meta.__newindex(e, key, value)
    if slots[key] or getters[key] or methods[key] then
      errors.raise("TypeError", "%s.%s is read-only", name, tostring(key))
    end
    rawset(e, key, value)
  end
  function meta.__tostring(e)
    return name .. ": " .. e[TYPE]
  end

  local function construct(_, kind, init)
    if type(kind) ~= "string" then
      errors.raise("TypeError", "%s: the type must be a string, got %s", name, type(kind))
    end
    if init ~= nil and type(init) ~= "table" then
      errors.raise("TypeError", "%s: table expected, got %s", name, type(init))
    end
    local e = { kind, nil, 0, false, false, init or false }
    for i, field in ipairs(fields) do
      local value = init and init[field]
      if value == nil then
        value = defaults[i]
      end
      e[FIRST_OWN + i - 1] = value
    end
    return setmetatable(e, meta)
  end
  event[name] = setmetatable({}, { __call = construct })
  return meta
end

local Event = class("Event", {}, {})

local MessageEvent = class("MessageEvent", { "data", "binary" }, { nil, false }, {
  -- Of a piece of a streamed message; a whole one is both.
  isFirst = function(e)
    return e[IS_FIRST] ~= false
  end,
  isLast = function(e)
    return e[IS_LAST] ~= false
  end,
  origin = function(e)
    if e[INIT] then
      return e[INIT].origin or ""
    end
    return e[TARGET] and e[TARGET]._origin or ""
  end,
  lastEventId = function(e)
    return e[INIT] and e[INIT].lastEventId or ""
  end,
  source = function() end,
  ports = function()
    return {}
  end,
})

local CloseEvent = class("CloseEvent", { "code", "reason", "wasClean" }, { 0, "", false })

-- What a browser does not tell: why the connection failed.
local ErrorEvent = class(
  "ErrorEvent",
  { "code", "message", "side", "phase", "closeCode", "status", "response" },
  { "", "", nil, nil, 0, 0 }
)

-- "ping" and "pong"; `rtt` in seconds if the pong answers a ping of ours.
local ControlEvent = class("ControlEvent", { "data", "rtt" }, { "" })

-- The next attempt starts in `delay` seconds.
local ReconnectEvent = class("ReconnectEvent", { "attempt", "delay", "code", "reason", "error" }, { 0, 0, 0, "" })

-- Trusted events; they are on their way to their target.

function event.plain(kind, target)
  return setmetatable({ kind, target, AT_TARGET, true, false, false }, Event)
end

function event.message(target, data, binary, is_first, is_last)
  return setmetatable(
    { "message", target, AT_TARGET, true, false, false, data, binary, is_first, is_last },
    MessageEvent
  )
end

function event.close(target, code, reason, was_clean)
  return setmetatable({ "close", target, AT_TARGET, true, false, false, code, reason, was_clean }, CloseEvent)
end

function event.error(target, ...)
  return setmetatable({ "error", target, AT_TARGET, true, false, false, ... }, ErrorEvent)
end

function event.control(kind, target, data, rtt)
  return setmetatable({ kind, target, AT_TARGET, true, false, false, data, rtt }, ControlEvent)
end

function event.reconnect(target, attempt, delay, code, reason, err)
  return setmetatable(
    { "reconnect", target, AT_TARGET, true, false, false, attempt, delay, code, reason, err },
    ReconnectEvent
  )
end

--- Whether a value is an event of any class.
function event.is(value)
  local meta = getmetatable(value)
  return type(value) == "table"
    and (
      meta == Event
      or meta == MessageEvent
      or meta == CloseEvent
      or meta == ErrorEvent
      or meta == ControlEvent
      or meta == ReconnectEvent
    )
end

return event
