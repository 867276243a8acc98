-- The rock: its lists of sources, and what its modules link to and export.

describe("the rockspec", function()
  local function read(path)
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    return text
  end

  local spec = {}
  local chunk = assert((loadstring or load)(read "libws-scm-1.rockspec", "rockspec", "t", spec))
  if setfenv then
    setfenv(chunk, spec)
  end
  chunk()

  local function set_of(list)
    local set = {}
    for _, name in ipairs(list) do
      assert.is_nil(set[name], name .. " stands there twice")
      set[name] = true
    end
    return set
  end

  --- The sources of the library that a module is to have.
  local function core_sources(wants)
    local set = {}
    for source in read("libws/sources.txt"):gmatch "%S+" do
      if wants(source) then
        set["libws/src/" .. source] = true
      end
    end
    return set
  end

  --- What a list has under a folder.
  local function under(folder, list)
    local set = {}
    for name in pairs(set_of(list)) do
      if name:find(folder, 1, true) == 1 then
        set[name] = true
      end
    end
    return set
  end

  it("lists all sources of the library for libws.core", function()
    local expected = core_sources(function()
      return true
    end)
    assert.are.same(expected, under("libws/src/", spec.build.modules["libws.core"].sources))
  end)

  it("lists the engine and its random source for libws.codec", function()
    local expected = core_sources(function(source)
      return source:find "^base/" or source:find "^proto/" or source == "io/rand.c"
    end)
    assert.are.same(expected, under("libws/src/", spec.build.modules["libws.codec"].sources))
  end)

  it("lists every file of the binding", function()
    local listed = {}
    for _, module in pairs(spec.build.modules) do
      for name in pairs(under("bindings/lua/", module.sources)) do
        listed[name] = true
      end
    end
    local there = {}
    for name in assert(io.popen "ls bindings/lua/*.c"):lines() do
      there[name] = true
    end
    assert.are.same(there, listed)
  end)

  it("depends on Lua alone", function()
    assert.are.same({ "lua >= 5.1" }, spec.dependencies)
  end)

  --- The dynamic symbols of a module, by the letters of nm.
  local function symbols(name, options)
    local path = assert(package.searchpath and package.searchpath(name, package.cpath) or package.cpath:match "^[^;]*")
    path = path:gsub("%?", (name:gsub("%.", "/")))
    local list = {}
    for line in assert(io.popen("nm -D " .. options .. " '" .. path .. "'")):lines() do
      table.insert(list, (line:match "%S+$"))
    end
    assert.is_truthy(list[1])
    return list
  end

  it("gives libws.codec no symbol of OpenSSL", function()
    for _, symbol in ipairs(symbols("libws.codec", "--undefined-only")) do
      for _, prefix in ipairs { "SSL_", "X509", "EVP_", "CRYPTO_", "OPENSSL_", "BIO_", "ERR_", "RAND_" } do
        assert.is_nil(symbol:find("^" .. prefix), symbol)
      end
    end
  end)

  it("exports what opens a module, and nothing else", function()
    for _, name in ipairs { "codec", "core" } do
      assert.are.same({ "luaopen_libws_" .. name }, symbols("libws." .. name, "--defined-only"))
    end
  end)
end)
