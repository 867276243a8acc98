--- Tables of options.

local errors = require "libws.errors"

local options = {}

function options.check(given, what)
  if given ~= nil and type(given) ~= "table" then
    errors.raise("TypeError", "%s: table expected, got %s", what, type(given))
  end
  return given or {}
end

--- A copy without the names in `taken`, and those apart.
function options.split(given, taken)
  local rest, own = {}, {}
  for name, value in pairs(given) do
    if taken[name] then
      own[name] = value
    else
      rest[name] = value
    end
  end
  return rest, own
end

return options
