-- What `luacheck lua examples/lua tests/lua` checks.
std = "max"
max_line_length = 120
cache = false
-- Unused arguments of handlers document what they get.
ignore = { "212/_.*" }
for _, path in ipairs { "lua/libws/resty.lua", "lua/libws/resty", "tests/lua/resty", "examples/openresty" } do
  files[path] = { std = "max+ngx_lua" }
end
files["tests/lua"] = { std = "+busted" }
files["lua/libws/types.lua"] = { ignore = { "111", "112", "211", "212", "231", "241", "631" } }
