-- TLS: verified by default (security 2.3).
local libws = require "libws"
local support = require "support"
local raises = support.raises

describe("TLS", function()
  local folder, cert, key

  local function read(path)
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    return text
  end

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    cert, key = folder .. "-cert.pem", folder .. "-key.pem"
    os.execute(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        .. " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "
        .. key
        .. " -out "
        .. cert
        .. " 2>/dev/null"
    )
  end)
  teardown(function()
    os.remove(cert)
    os.remove(key)
  end)
  before_each(support.open_loop)
  after_each(support.close_loop)

  local function serve()
    return support.serve_echo { tls = { cert = cert, key = key } }
  end

  it("is spoken with a certificate that is trusted (row 352)", function()
    local server = serve()
    assert.is_truthy(server.url:find "^wss://")
    for _, options in ipairs {
      { ca = cert },
      { ca = read(cert) },
      { tls = { ca = cert } },
      { tls = assert(libws.tlsClient { ca = cert, min_version = "1.3" }) },
      { insecure = true },
    } do
      local ws = assert(support.connect(server.url, options))
      ws:send "x"
      assert.are.equal("x", (ws:receive(support.LIMIT)))
      assert.is_truthy(ws:tlsInfo().version:find "^TLSv1")
      ws:close()
    end
  end)

  it("is refused with one that is not (row 97)", function()
    local ws, message, code = support.connect(serve().url)
    assert.is_nil(ws)
    assert.are.equal("WS_ERR_CERTIFICATE", code)
    assert.is_truthy(#message > 0)
    local _, _, other = support.connect(serve().url, { ca = cert, server_name = "example.com" })
    assert.are.equal("WS_ERR_CERTIFICATE", other)
  end)

  it("says what cannot be used", function()
    local context, message, code = libws.tlsClient { ca = "/nowhere.pem" }
    assert.is_nil(context)
    assert.are.equal("WS_ERR_TLS", code)
    assert.is_truthy(message:find("/nowhere.pem", 1, true))
    raises("TypeError", libws.tlsClient, { insecure = "yes" })
    raises("TypeError", libws.tlsClient, { nonsense = true })
    raises("TypeError", libws.tlsServer, { cert = cert, key = key, client_auth = "maybe" })
    raises("TypeError", support.new, "wss://h/", nil, { ca = "/nowhere.pem" })
    raises("TypeError", libws.serve, { loop = support.loop, port = 0, tls = {} })
  end)

  it("chooses certificates by name and asks for those of clients (row 352)", function()
    local server = support.serve_echo {
      tls = { certificates = { { cert = cert, key = key } }, ca = cert, client_auth = "required" },
    }
    local ws = assert(support.connect(server.url, { ca = cert, cert = cert, key = key }))
    ws:close()
    ws = support.connect(server.url, { ca = cert })
    -- TLS 1.3 tells a client of it only after its handshake.
    if ws then
      assert.are.equal("closed", (select(2, ws:receive(support.LIMIT))))
    end
  end)
end)
