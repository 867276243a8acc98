/* handshakes.c - from a new connection to an open one, and freeing it. */
#include <string.h>

#include "material.h"
#include "measure.h"
#include "proto/handshake.h"
#include "report.h"
#include "sections.h"

#define HEAD_MAX 4096

static const char smallest_request[] =
    "GET / HTTP/1.1\r\n"
    "Host: example.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n";

static const char browser_request[] =
    "GET /chat?room=12 HTTP/1.1\r\n"
    "Host: example.com\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
    "like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: http://example.com\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "\r\n";

typedef struct opening {
  ws_conn_config *config;
  const ws_url *url;   /* Client. */
  char head[HEAD_MAX]; /* The peer's. */
  size_t head_len;
} opening;

/* Writes everything out, to `out` if it is not NULL. Returns how much. */
static size_t flush(ws_conn *conn, char *out) {
  ws_slice slice;
  size_t len = 0;
  while (ws_conn_output(conn, &slice, 1) > 0) {
    if (out != NULL) memcpy(out + len, slice.data, slice.len);
    len += slice.len;
    ws_conn_consume(conn, slice.len);
  }
  return len;
}

/* Feeds the peer's head and pulls all events. The request is accepted. */
static void feed_head(ws_conn *conn, const opening *o) {
  uint8_t bytes[HEAD_MAX];
  memcpy(bytes, o->head, o->head_len);
  (void)ws_conn_feed(conn, bytes, o->head_len);

  ws_conn_event event;
  while (ws_conn_next_event(conn, &event)) {
    if (event.type == WS_EVENT_REQUEST) {
      (void)ws_conn_accept(conn, NULL, NULL);
    }
  }
}

static ws_conn *new_conn(const opening *o) {
  ws_conn *conn;
  must(ws_conn_new(o->config, 0, &conn) == 0, "a connection is made");
  return conn;
}

static void free_open(ws_conn *conn) {
  must(ws_conn_state(conn) == WS_STATE_OPEN, "the handshake succeeds");
  ws_conn_free(conn);
}

static void run_server(void *ctx, size_t times) {
  const opening *o = ctx;
  for (size_t i = 0; i < times; i++) {
    ws_conn *conn = new_conn(o);
    feed_head(conn, o);
    flush(conn, NULL);
    free_open(conn);
  }
}

static void connect_to(ws_conn *conn, const ws_url *url) {
  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = url;
  must(ws_conn_connect(conn, &request, NULL) == 0, "a request is made");
}

static void run_client(void *ctx, size_t times) {
  const opening *o = ctx;
  for (size_t i = 0; i < times; i++) {
    ws_conn *conn = new_conn(o);
    connect_to(conn, o->url);
    flush(conn, NULL);
    feed_head(conn, o);
    free_open(conn);
  }
}

static void run_accept_key(void *ctx, size_t times) {
  char *accept = ctx;
  for (size_t i = 0; i < times; i++) {
    ws__handshake_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept);
    measure_keep(accept);
  }
}

static void report_ns(const char *name, void (*run)(void *, size_t),
                      void *ctx) {
  contender c = {.run = run, .ctx = ctx};
  measure(&c, 1);
  report_row(&c.ns, "%s", name);
}

static void server_case(const char *name, const char *request,
                        ws_compression compression) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression = compression;
  opening o = {.config = make_config(WS_ROLE_SERVER, &options),
               .head_len = strlen(request)};
  memcpy(o.head, request, o.head_len);
  report_ns(name, run_server, &o);
  ws_conn_config_free(o.config);
}

/* The same key each time, so that one response answers all requests. */
static int no_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 0, len);
  return 0;
}

/* Has our server answer the request that every client of `o` makes. */
static void write_response(opening *o, const ws_conn_options *options) {
  ws_conn *client = new_conn(o);
  connect_to(client, o->url);
  o->head_len = flush(client, o->head);
  ws_conn_free(client);

  opening server = {.config = make_config(WS_ROLE_SERVER, options)};
  ws_conn *conn = new_conn(&server);
  feed_head(conn, o);
  o->head_len = flush(conn, o->head);
  free_open(conn);
  ws_conn_config_free(server.config);
}

static void client_case(const char *name, ws_compression compression) {
  static const char address[] = "ws://example.com/chat?room=12";
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.random = no_random;
  options.compression = compression;
  ws_url *url;
  must(ws_url_parse(address, strlen(address), NULL, &url, NULL) == 0,
       "the URL is fine");

  opening o = {.config = make_config(WS_ROLE_CLIENT, &options), .url = url};
  write_response(&o, &options);
  report_ns(name, run_client, &o);
  ws_conn_config_free(o.config);
  ws_url_free(url);
}

void bench_handshake(void) {
  static const report_column columns[] = {{"libws", 0}};
  report_table("Opening handshake with new and free, ns", columns, 1);
  server_case("server, smallest request", smallest_request, WS_COMPRESSION_OFF);
  server_case("server, a browser's request", browser_request,
              WS_COMPRESSION_OFF);
  server_case("server, with compression", browser_request, WS_COMPRESSION_ON);
  client_case("client", WS_COMPRESSION_OFF);
  client_case("client, with compression", WS_COMPRESSION_ON);
  char accept[WS__ACCEPT_SIZE];
  report_ns("Sec-WebSocket-Accept alone", run_accept_key, accept);
}
