-- lua/libws/types.lua describes every public name.
local codec = require "libws.codec"
local libws = require "libws"

describe("the annotations", function()
  local function read(path)
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    return text
  end

  local types = read "lua/libws/types.lua"

  it("have every function and value of the module", function()
    for name, value in pairs(libws) do
      local is_described = types:find("function libws." .. name .. "(", 1, true)
        or types:find("---@field " .. name .. " ", 1, true)
      assert.is_truthy(is_described, name)
      assert.is_not_nil(value)
    end
  end)

  it("have every method of the classes", function()
    for class, file in pairs { WebSocket = "websocket", Server = "server", Request = "server", Timer = "loop" } do
      local count = 0
      for name in read("lua/libws/" .. file .. ".lua"):gmatch("\nfunction " .. class .. ":(%a[%w_]*)") do
        count = count + 1
        assert.is_truthy(types:find("\nfunction " .. class .. ":" .. name .. "(", 1, true), class .. ":" .. name)
      end
      assert.is_true(count > 1)
    end
  end)

  it("have every function of libws.resty", function()
    local count = 0
    for name in read("lua/libws/resty.lua"):gmatch "\n[function ]*resty%.(%w+)[ (]" do
      local is_described = types:find("\nfunction resty." .. name .. "(", 1, true)
        or types:find("---@field " .. name .. " ", 1, true)
      assert.is_truthy(is_described, name)
      count = count + 1
    end
    assert.is_true(count >= 3)
    for name in read("lua/libws/resty/worker.lua"):gmatch "\nfunction Server:(%w+)" do
      assert.is_truthy(types:find("\nfunction RestyServer:" .. name .. "(", 1, true), name)
    end
  end)

  it("have every function of libws.codec and every method of its connections", function()
    for name, value in pairs(codec) do
      if type(value) == "function" then
        assert.is_truthy(types:find("\nfunction codec." .. name .. "(", 1, true), name)
      end
    end
    for name in types:match("(REQUEST, [^.]*)%."):gsub("%-%-%-", ""):gmatch "%u+" do
      assert.are.equal("number", type(codec[name]), name)
    end
    for name, value in pairs(getmetatable(codec.conn("client", 0)).__index) do
      assert.are.equal("function", type(value))
      assert.is_truthy(types:find("\nfunction Conn:" .. name .. "(", 1, true), name)
    end
  end)

  it("have every bridge", function()
    for _, name in ipairs { "cqueues", "luv", "copas" } do
      assert.is_truthy(types:find('"libws.' .. name .. '"', 1, true))
      assert.is_truthy(read("lua/libws/" .. name .. ".lua"):find "\nfunction bridge.attach%(")
    end
  end)

  it("have every attribute of a WebSocket", function()
    local getters = read("lua/libws/websocket.lua"):match "\nlocal getters = (%b{})"
    for name in getters:gmatch "\n  (%w+) = function" do
      assert.is_truthy(types:find("---@field " .. name .. " ", 1, true), name)
    end
  end)

  it("have every option that C reads", function()
    for _, file in ipairs { "options", "socket", "server", "tls" } do
      local text = read("bindings/lua/" .. file .. ".c")
      local names = {}
      for name in text:gmatch "FIELD%((%l[%w_]*), " do
        names[name] = true
      end
      for name in text:gmatch '\n *{"([%l_]+)", %s*[%w_]*read_%w+' do
        names[name] = true
      end
      -- What the Lua code sets itself.
      names.wants_upgrades, names.wants_requests, names.name = nil, nil, nil
      assert.is_not_nil(next(names))
      for name in pairs(names) do
        assert.is_truthy(types:find("---@field " .. name .. " ", 1, true), name)
      end
    end
  end)

  it("are not loaded", function()
    assert.is_false((pcall(dofile, "lua/libws/types.lua")))
  end)
end)
