--- The way of a client to its server: a cosocket's connect() and TLS by nginx.

local errors = require "libws.errors"
local options = require "libws.options"

local dialer = {}

-- What nginx has directives for, which hold for all cosockets of a location.
local by_directive = {
  ca = "lua_ssl_trusted_certificate",
  ca_dir = "lua_ssl_trusted_certificate",
  min_version = "lua_ssl_protocols",
  ciphers = "lua_ssl_ciphers",
}

local known = { cert = true, key = true, insecure = true, server_name = true }

local function check_tls(tls)
  tls = options.check(tls, "tls")
  for name in pairs(tls) do
    if by_directive[name] then
      errors.raise("TypeError", "tls.%s: nginx has the directive %s for it", name, by_directive[name])
    elseif not known[name] then
      errors.raise("TypeError", "unknown option 'tls.%s'", tostring(name))
    end
  end
  return tls
end

--- Parses PEM texts for setclientcert(); raises for what is none.
local function parse_client_certificate(tls)
  if not tls.cert then
    return nil
  end
  local ssl = require "ngx.ssl"
  local cert, problem = ssl.parse_pem_cert(tls.cert)
  if not cert then
    errors.raise("TypeError", "tls.cert: %s", problem)
  end
  local key, key_problem = ssl.parse_pem_priv_key(tls.key or "")
  if not key then
    errors.raise("TypeError", "tls.key: %s", key_problem)
  end
  return { cert = cert, key = key }
end

--- OpenSSL's number of a verification error, or nginx's word for a wrong name.
local function is_about_certificate(problem)
  return problem:find "^%d+: " or problem:find("certificate", 1, true)
end

local function shake_hands(sock, target, tls, client)
  if client then
    local ok, problem = sock:setclientcert(client.cert, client.key)
    if not ok then
      return nil, problem, "WS_ERR_TLS"
    end
  end
  local ok, problem = sock:sslhandshake(false, tls.server_name or target.host, not tls.insecure)
  if ok then
    return true
  end
  return nil, problem, is_about_certificate(problem) and "WS_ERR_CERTIFICATE" or "WS_ERR_TLS"
end

local function connect(sock, target)
  local ok, problem
  if target.unix_path then
    ok, problem = sock:connect("unix:" .. target.unix_path)
  else
    ok, problem = sock:connect(target.host, target.port)
  end
  if ok then
    return true
  end
  return nil, problem, problem:find("resolve", 1, true) and "WS_ERR_RESOLVE" or "WS_ERR_CONNECT"
end

--- Returns a function that connects a cosocket to what a URL names, and returns
-- true; or nil, message, code. TLS options: insecure (no verification),
-- server_name (instead of the URL's host), cert and key (PEM texts).
function dialer.new(target, tls)
  tls = check_tls(tls)
  local client = parse_client_certificate(tls)
  return function(sock)
    local ok, message, code = connect(sock, target)
    if ok and target.is_secure then
      return shake_hands(sock, target, tls, client)
    end
    return ok, message, code
  end
end

return dialer
