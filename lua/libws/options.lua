--- Options as the C modules take them.

local core = require "libws.core"
local errors = require "libws.errors"

local options = {}

-- Of a TLS context, and allowed beside the other options too.
local tls_shortcuts = { "ca", "ca_dir", "cert", "key", "password", "insecure" }

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

--- Makes a TLS context of a table; one that is made already stays.
local function context(make, value)
  if type(value) ~= "table" then
    return value
  end
  local made, message = make(value)
  if not made then
    errors.raise("TypeError", "tls: %s", message)
  end
  return made
end

--- In place: `tls` and `proxy_tls` become contexts, from tables or from the
-- options that stand beside them (client only).
function options.make_client_tls(o)
  for _, name in ipairs(tls_shortcuts) do
    if o[name] ~= nil then
      if o.tls == nil then
        o.tls = {}
      elseif type(o.tls) ~= "table" then
        errors.raise("TypeError", "%s: belongs into the options of tls", name)
      end
    end
  end
  if type(o.tls) == "table" then
    local tls = options.split(o.tls, {})
    for _, name in ipairs(tls_shortcuts) do
      if o[name] ~= nil then
        tls[name], o[name] = o[name], nil
      end
    end
    o.tls = context(core.tls_client, tls)
  end
  o.proxy_tls = context(core.tls_client, o.proxy_tls)
end

function options.make_server_tls(o)
  o.tls = context(core.tls_server, o.tls)
end

return options
