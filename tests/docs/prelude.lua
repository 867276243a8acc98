--- Runs a snippet of the documentation, which is on stdin, with what it may use
-- without having said where it comes from; see test_docs.py.
--
--     lua prelude.lua ECHO_SERVER_URL
--
-- What is checked is that names, arguments and options exist: functions that the
-- snippet defines are not called.
local libws = require "libws"

local ENOUGH = {}

local names = {
  libws = libws,
  url = arg[1],
  onconnection = function() end,
  wait_until_readable = function()
    error(ENOUGH)
  end,
}

-- Made when the snippet asks for it.
local make = {}

--- Says two things and ends, so that loops over its messages do.
function make.server()
  return assert(libws.serve {
    port = 0,
    onconnection = function(ws)
      ws:send "first"
      ws:send "second"
      ws:close(1000)
    end,
  })
end

function make.ws()
  return assert(libws.connect(names.server.url))
end

function make.file()
  local file = assert(io.tmpfile())
  file:write "some data"
  file:seek "set"
  return file
end

setmetatable(names, {
  __index = function(_, name)
    if make[name] then
      names[name] = make[name]()
      return names[name]
    end
    return _G[name]
  end,
})

local text = io.read "*a"
local snippet
if setfenv then
  snippet = setfenv(assert(loadstring(text, "=snippet")), names)
else
  snippet = assert(load(text, "=snippet", "t", names))
end
local ok, problem = xpcall(snippet, function(problem)
  return problem == ENOUGH and ENOUGH or debug.traceback(tostring(problem))
end)
if not ok and problem ~= ENOUGH then
  io.stderr:write(problem, "\n")
  os.exit(1)
end
os.exit(0)
