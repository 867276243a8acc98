--- Errors: what is raised for misuse, and where the errors of handlers go.
--
-- Misuse raises a table {name, code, message} that prints as "name: message". The C
-- modules raise it, and have its metatable.

local native = package.loaded["libws.core"] or require "libws.codec"

local errors = {}

-- Where libws is: what stands in these files is never where the misuse is.
native.Error.folder = debug.getinfo(1, "S").source:match "^(.*)errors%.lua$"

function errors.raise(name, format, ...)
  native.Error.raise(name, select("#", ...) > 0 and format:format(...) or format)
end

--- Writes an error nobody caught to stderr. `libws.onerror` takes its place.
local function write_to_stderr(_, traceback)
  io.stderr:write("libws: error in a handler: ", traceback, "\n")
end

errors.handler = write_to_stderr

function errors.set_handler(handler)
  if handler ~= nil and type(handler) ~= "function" then
    errors.raise("TypeError", "onerror: function expected, got %s", type(handler))
  end
  errors.handler = handler or write_to_stderr
end

--- Reports what the coroutine `co` died of. Never raises.
function errors.report(co, err)
  local traceback = debug.traceback(co, tostring(err))
  local ok, again = pcall(errors.handler, err, traceback)
  if not ok and errors.handler ~= write_to_stderr then
    write_to_stderr(nil, traceback)
    write_to_stderr(nil, "in onerror: " .. tostring(again))
  end
end

return errors
