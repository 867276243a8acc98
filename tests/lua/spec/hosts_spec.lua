-- The bridges to other event loops, in those loops, with other work beside.
local support = require "support"

describe("a bridge", function()
  before_each(support.open_loop)
  after_each(support.close_loop)

  --- What a thread of the host does with libws; `pause(seconds)` is the host's.
  -- Returns a list of what happened.
  local function talk(server, pause)
    local seen = {}
    local ws = assert(support.connect(server.url))
    ws:send "a"
    table.insert(seen, (ws:receive(support.LIMIT)))
    table.insert(seen, select(2, ws:receive(0.005)))

    local other = support.new(server.url)
    other.onopen = function()
      pause(0.002) -- A handler may wait for things of the host.
      support.loop:sleep(0.002)
      other:send "b"
    end
    other.onmessage = function(ev)
      table.insert(seen, ev.data)
      other:close()
    end
    table.insert(seen, (other:waitClosed(support.LIMIT)))

    ws:close()
    table.insert(seen, (ws:waitClosed(support.LIMIT)))
    server:close()
    assert(server:waitClosed(support.LIMIT))
    return seen
  end
  local expected = { "a", "timeout", "b", 1005, 1005 }

  it("runs in cqueues", function()
    local cqueues = require "cqueues"
    local cq = cqueues.new()
    require("libws.cqueues").attach(cq, support.loop)
    local server = support.serve_echo()
    local seen, ticks = nil, 0
    cq:wrap(function()
      seen = talk(server, cqueues.sleep)
    end)
    cq:wrap(function()
      repeat
        ticks = ticks + 1
        cqueues.sleep(0.001)
      until seen
    end)
    -- It ends by itself: nothing is left to wait for.
    assert(cq:loop(5))
    assert.are.same(expected, seen)
    assert.is_true(ticks > 3)
    assert.is_false(support.loop:is_alive())
  end)

  it("runs in luv", function()
    local luv = require "luv"
    require("libws.luv").attach(support.loop)
    local server = support.serve_echo()
    local seen, err, ticks = nil, nil, 0
    local timer = luv.new_timer()
    local limit = luv.new_timer()
    timer:start(1, 1, function()
      ticks = ticks + 1
      if seen or err then
        timer:close()
        limit:close()
      end
    end)
    limit:start(support.LIMIT * 1000, 0, function()
      luv.stop()
    end)
    local function pause(seconds)
      local co = coroutine.running()
      local waking = luv.new_timer()
      waking:start(seconds * 1000, 0, function()
        waking:close()
        assert(coroutine.resume(co))
      end)
      coroutine.yield()
    end
    support.loop:spawn(function()
      seen = talk(server, pause)
    end, function(what)
      err = what
    end)
    luv.run()
    assert.are.same(expected, seen)
    assert.is_true(ticks > 3)
    assert.is_false(support.loop:is_alive())
  end)

  it("runs in Copas", function()
    local copas = require "copas"
    local socket = require "socket"
    require("libws.copas").attach(support.loop)
    local server = support.serve_echo()

    -- Datagrams are what Copas can wait for.
    local function new_port()
      local port = assert(socket.udp())
      port:setsockname("127.0.0.1", 0)
      port:settimeout(0)
      return port
    end

    local seen, ticks = nil, 0
    local own = new_port()
    copas.addthread(function()
      seen = talk(server, function()
        own:sendto("x", own:getsockname())
        copas.receivefrom(own)
      end)
    end)
    -- Two who wait for each other all the time.
    local left, right = new_port(), new_port()
    local function play(from, to)
      copas.addthread(function()
        while not seen do
          ticks = ticks + 1
          from:sendto("x", to:getsockname())
          copas.receivefrom(from)
        end
      end)
    end
    play(left, right)
    play(right, left)
    local deadline = socket.gettime() + support.LIMIT
    while not seen and socket.gettime() < deadline do
      copas.step(0.05)
    end
    assert.are.same(expected, seen)
    assert.is_true(ticks > 3)
    assert.is_false(support.loop:is_alive())
  end)

  it("may be any loop that watches a descriptor", function()
    local socket = require "socket"
    local fd = support.loop:fd()
    local watched = {
      getfd = function()
        return fd
      end,
      dirty = function()
        return false
      end,
    }
    local ws = support.new(support.serve_echo().url)
    local got
    ws.onopen = function()
      ws:send "x"
    end
    ws.onmessage = function(ev)
      got = ev.data
    end
    local deadline = socket.gettime() + support.LIMIT
    while not got do
      assert(socket.gettime() < deadline)
      socket.select({ watched }, nil, 1)
      support.loop:step(0)
    end
    assert.are.equal("x", got)
  end)
end)
