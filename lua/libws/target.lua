--- Listeners and handlers, as the DOM has them.
--
-- A list of listeners is never changed, only replaced. So a dispatch walks the
-- list it began with, as the DOM asks for ("clone of the event listener list"),
-- without a copy; a listener that was removed meanwhile says so itself. A type
-- without listeners has no list.

local errors = require "libws.errors"

local target = {}

local function is_callable(value)
  local meta = type(value) ~= "function" and getmetatable(value)
  return type(value) == "function" or (type(meta) == "table" and meta.__call ~= nil)
end

--- The function to call for a listener as it was given.
local function callback_of(value, what)
  if is_callable(value) then
    return value
  end
  if type(value) == "table" and value.handleEvent ~= nil then
    return function(event)
      return value:handleEvent(event)
    end
  end
  errors.raise("TypeError", "%s: function or object with handleEvent expected, got %s", what, type(value))
end

local function append(lists, kind, listener)
  local list = {}
  for i, other in ipairs(lists[kind] or {}) do
    list[i] = other
  end
  list[#list + 1] = listener
  lists[kind] = list
end

local function remove(lists, kind, listener)
  listener.is_removed = true
  local list = {}
  for _, other in ipairs(lists[kind] or {}) do
    if other ~= listener then
      list[#list + 1] = other
    end
  end
  lists[kind] = list[1] and list or nil
end

local function find(lists, kind, value)
  for _, listener in ipairs(lists[kind] or {}) do
    if rawequal(listener.value, value) and not listener.is_handler then
      return listener
    end
  end
end

--- Adds a listener to `lists`; the same one twice changes nothing.
function target.add(lists, kind, value, options)
  if type(kind) ~= "string" then
    errors.raise("TypeError", "addEventListener: the type must be a string, got %s", type(kind))
  end
  if value == nil then
    return
  end
  local callback = callback_of(value, "addEventListener")
  if find(lists, kind, value) then
    return
  end
  local once = type(options) == "table" and options.once == true
  append(lists, kind, { value = value, callback = callback, once = once })
end

function target.remove(lists, kind, value)
  local listener = find(lists, kind, value)
  if listener then
    remove(lists, kind, listener)
  end
end

local function ignore() end

local function find_handler(lists, kind)
  for _, listener in ipairs(lists[kind] or {}) do
    if listener.is_handler then
      return listener
    end
  end
end

--- What ws.onmessage and the like stand for.
function target.get_handler(lists, kind)
  local listener = find_handler(lists, kind)
  return listener and listener.value
end

--- Sets it. A new value takes the place of the old one in the order; nil gives
-- the place up. An object with handleEvent is kept and not called (HTML, "the
-- event handler processing algorithm").
function target.set_handler(lists, kind, value)
  local listener = find_handler(lists, kind)
  if value == nil then
    if listener then
      remove(lists, kind, listener)
    end
    return
  end
  callback_of(value, "on" .. kind)
  local callback = is_callable(value) and value or ignore
  if listener then
    listener.value, listener.callback = value, callback
    return
  end
  append(lists, kind, { value = value, callback = callback, is_handler = true })
end

--- Called before a listener is: one that is to be called once is gone already
-- while it runs.
function target.take(lists, kind, listener)
  if listener.once then
    remove(lists, kind, listener)
  end
  return listener.callback
end

return target
