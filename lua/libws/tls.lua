--- TLS contexts from options.

local core = require "libws.core"
local errors = require "libws.errors"
local options = require "libws.options"

local tls = {}

-- Options of a client's context that may stand beside the others too.
local shortcuts = { "ca", "ca_dir", "cert", "key", "password", "insecure" }

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

--- Takes the shortcuts out of `o` and into its table `tls`.
local function gather(o)
  local all = type(o.tls) == "table" and options.split(o.tls, {}) or {}
  for _, name in ipairs(shortcuts) do
    if o[name] ~= nil then
      all[name], o[name] = o[name], nil
    end
  end
  if next(all) == nil then
    return
  elseif o.tls ~= nil and type(o.tls) ~= "table" then
    errors.raise("TypeError", "tls: a context that is made already takes no further options")
  end
  o.tls = all
end

--- In place: `tls` and `proxy_tls` become contexts, from tables or from the
-- options that stand beside them.
function tls.make_client(o)
  gather(o)
  o.tls = context(core.tls_client, o.tls)
  o.proxy_tls = context(core.tls_client, o.proxy_tls)
end

function tls.make_server(o)
  o.tls = context(core.tls_server, o.tls)
end

return tls
