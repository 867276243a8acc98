/* socket.c - the sockets of clients and servers. */
#include "convert.h"
#include "handle.h"
#include "options.h"
#include "tls.h"

static const char socket_type[] = "libws.socket";

lws_socket *lws_push_socket(lua_State *L) {
  lws_socket *handle = lua_newuserdata(L, sizeof(*handle));
  *handle = (lws_socket){.type = socket_type};
  luaL_getmetatable(L, socket_type);
  lua_setmetatable(L, -2);
  return handle;
}

lws_socket *lws_check_socket(lua_State *L, int index) {
  return lws_check_typed(L, index, socket_type, sizeof(lws_socket));
}

static lws_socket *check_handle(lua_State *L) {
  lws_socket *handle = lws_check_socket(L, 1);
  if (handle->socket == NULL) lws_raise_err(L, WS_ERR_INVALID_STATE, NULL);
  return handle;
}

static ws_socket *check(lua_State *L) {
  return check_handle(L)->socket;
}

/* WHATWG WebSockets 7: "If a WebSocket object is garbage collected while its
 * connection is still open, the user agent must start the WebSocket closing
 * handshake, with no status code for the Close message." One that is paused has
 * to read the answer. */
static int socket_gc(lua_State *L) {
  lws_socket *handle = lws_check_socket(L, 1);
  if (handle->socket == NULL) return 0;
  (void)ws_socket_close(handle->socket, 0, NULL, 0);
  ws_socket_resume(handle->socket);
  ws_socket_release(handle->socket);
  handle->socket = NULL;
  return 0;
}

/* -- Opening --------------------------------------------------------------- */

/* "" is a text, false is none: no proxy. */
static void read_proxy(lua_State *L, const char *name, void *place,
                       int anchors) {
  if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
    *(const char **)place = "";
  } else {
    lws_read_text(L, name, place, anchors);
  }
}

static lws_target socket_target(ws_socket_options *options) {
#define FIELD(name, read) \
  { #name, read, offsetof(ws_socket_options, name) }
  static const lws_field fields[] = {
      FIELD(headers, lws_read_headers),
      FIELD(origin, lws_read_text),
      FIELD(tls, lws_read_tls),
      FIELD(server_name, lws_read_text),
      FIELD(proxy, read_proxy),
      FIELD(proxy_headers, lws_read_headers),
      FIELD(proxy_tls, lws_read_tls),
      FIELD(fd, lws_read_fd),
      FIELD(max_redirects, lws_read_count32),
      FIELD(block_bad_ports, lws_read_boolean),
      FIELD(reconnect, lws_read_boolean),
      FIELD(reconnect_min, lws_read_time),
      FIELD(reconnect_max, lws_read_time),
      FIELD(reconnect_attempts, lws_read_count32),
  };
#undef FIELD
  return (lws_target){fields, sizeof(fields) / sizeof(fields[0]), options};
}

/* loop:open(url, protocols, options) -> socket, id */
int lws_loop_open(lua_State *L) {
  lws_loop *loop = lws_check_loop(L, 1);
  size_t url_len;
  const char *url = lws_check_string(L, 2, "url", &url_len);
  lua_settop(L, 4);

  ws_conn_options conn;
  ws_conn_options_init(&conn);
  ws_socket_options options;
  ws_socket_options_init(&options);
  const lws_target targets[] = {lws_conn_target(&conn),
                                socket_target(&options)};
  lws_read_options(L, 4, targets, sizeof(targets) / sizeof(targets[0]));
  options.conn = &conn;
  if (!lua_isnil(L, 3)) {
    options.protocols =
        lws_check_strings(L, 3, "protocols", &options.protocol_count);
  }
  const uintptr_t id = lws_next_id(loop);
  options.user_data = (void *)id;

  lws_socket *handle = lws_push_socket(L);
  ws_error error = {.message = ""};
  ws_socket *socket;
  const int err =
      ws_socket_open(loop->loop, url, url_len, &options, &socket, &error);
  if (err != 0) return lws_raise_error(L, err, &error);
  handle->socket = ws_socket_retain(socket);
  lws_push_count(L, id);
  return 2;
}

static int socket_set_request_headers(lua_State *L) {
  ws_socket *socket = check(L);
  size_t count;
  const ws_header *headers = lws_check_headers(L, 2, "headers", &count);
  ws_error error = {.message = ""};
  const int err = ws_socket_set_request_headers(socket, headers, count, &error);
  return err == 0 ? 0 : lws_raise_error(L, err, &error);
}

/* -- Sending --------------------------------------------------------------- */

/* socket:send(data, is_binary, is_fragment, is_uncompressed) */
static int socket_send(lua_State *L) {
  lws_socket *handle = check_handle(L);
  size_t len;
  const char *data = lws_check_string(L, 2, "data", &len);
  const unsigned flags = lws_send_flags(L, 4);
  ws_message_type type = lua_toboolean(L, 3) ? WS_BINARY : WS_TEXT;
  if (handle->unfinished != 0) type = handle->unfinished;
  const int err = ws_socket_send(handle->socket, type, data, len, flags);
  if (err == 0) {
    handle->unfinished = flags & WS_SEND_FRAGMENT ? type : (ws_message_type)0;
  }
  return lws_settle_send(L, err);
}

static int socket_ping(lua_State *L) {
  size_t len;
  const char *data = lws_check_control(L, 2, &len);
  return lws_settle_send(L, ws_socket_ping(check(L), data, len));
}

static int socket_pong(lua_State *L) {
  size_t len;
  const char *data = lws_check_control(L, 2, &len);
  return lws_settle_send(L, ws_socket_pong(check(L), data, len));
}

/* -- Closing --------------------------------------------------------------- */

static int socket_close(lua_State *L) {
  const lws_close c = lws_check_close(L, 2);
  const int err = ws_socket_close(check(L), c.code, c.reason, c.reason_len);
  return lws_settle_close(L, err, LWS_CODES_OF_BROWSER);
}

static int socket_close_with(lua_State *L) {
  const lws_close c = lws_check_close(L, 2);
  const int err =
      ws_socket_close_with(check(L), c.code, c.reason, c.reason_len);
  return lws_settle_close(L, err, LWS_CODES_OF_WIRE);
}

static int socket_terminate(lua_State *L) {
  ws_socket_terminate(check(L));
  return 0;
}

/* -- Receiving ------------------------------------------------------------- */

/* socket:set_paused(is_paused) */
static int socket_set_paused(lua_State *L) {
  ws_socket *socket = check(L);
  if (lua_toboolean(L, 2)) {
    ws_socket_pause(socket);
  } else {
    ws_socket_resume(socket);
  }
  return 0;
}

static int socket_set_streaming(lua_State *L) {
  ws_socket_set_streaming(check(L), lua_toboolean(L, 2));
  return 0;
}

/* -- Requests -------------------------------------------------------------- */

/* socket:accept(protocol, headers, compression) */
static int socket_accept(lua_State *L) {
  ws_socket *socket = check(L);
  const ws_conn_answer answer = lws_check_answer(L);
  const char *reason = NULL;
  const int err = ws_socket_accept(socket, &answer, &reason);
  return lws_raise_if(L, err, reason);
}

/* socket:respond(status, body, headers) */
static int socket_respond(lua_State *L) {
  ws_socket *socket = check(L);
  const lws_response r = lws_check_response(L);
  const char *reason = NULL;
  const int err = ws_socket_respond(socket, r.status, r.headers, r.header_count,
                                    r.body, r.body_len, &reason);
  return lws_raise_if(L, err, reason);
}

static int socket_respond_file(lua_State *L) {
  const char *root = lws_check_text(L, 2, "root");
  const int err = ws_socket_respond_file(check(L), root);
  return lws_raise_if(L, err, NULL);
}

/* -- Topics ---------------------------------------------------------------- */

static int socket_subscribe(lua_State *L) {
  const char *topic = lws_check_text(L, 2, "topic");
  const int err = ws_socket_subscribe(check(L), topic);
  return lws_raise_if(L, err, NULL);
}

static int socket_unsubscribe(lua_State *L) {
  const char *topic = lws_check_text(L, 2, "topic");
  const int err = ws_socket_unsubscribe(check(L), topic);
  return lws_raise_if(L, err, NULL);
}

/* -- Attributes ------------------------------------------------------------ */

static int socket_ready_state(lua_State *L) {
  lua_pushinteger(L, ws_socket_ready_state(check(L)));
  return 1;
}

static int socket_buffered_amount(lua_State *L) {
  lws_push_count(L, ws_socket_buffered_amount(check(L)));
  return 1;
}

static int socket_protocol(lua_State *L) {
  lua_pushstring(L, ws_socket_protocol(check(L)));
  return 1;
}

static int socket_extensions(lua_State *L) {
  lua_pushstring(L, ws_socket_extensions(check(L)));
  return 1;
}

static int socket_url(lua_State *L) {
  lua_pushstring(L, ws_socket_url(check(L)));
  return 1;
}

static int socket_peer_address(lua_State *L) {
  char address[WS_ADDRESS_SIZE];
  lua_pushstring(L, ws_socket_peer_address(check(L), address));
  return 1;
}

static int socket_stats(lua_State *L) {
  ws_conn_stats stats;
  ws_socket_get_stats(check(L), &stats);
  lws_push_conn_stats(L, &stats);
  return 1;
}

/* Bytes that wait to be sent, framing included; what send_high_water is
 * compared with. */
static int socket_queued(lua_State *L) {
  ws_conn_stats stats;
  ws_socket_get_stats(check(L), &stats);
  lws_push_count(L, stats.bytes_queued);
  return 1;
}

/* A table, or nil without TLS. */
static int socket_tls_info(lua_State *L) {
  ws_tls_info info;
  if (!ws_socket_tls_info(check(L), &info)) return 0;
  lua_createtable(L, 0, 6);
  lws_set_string(L, "version", info.version);
  lws_set_string(L, "cipher", info.cipher);
  lws_set_string(L, "protocol", info.protocol);
  lws_set_string(L, "server_name", info.server_name);
  lws_set_string(L, "peer_subject", info.peer_subject);
  lws_set_boolean(L, "is_resumed", info.is_resumed);
  return 1;
}

void lws_socket_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"set_request_headers", socket_set_request_headers},
      {"send", socket_send},
      {"ping", socket_ping},
      {"pong", socket_pong},
      {"close", socket_close},
      {"close_with", socket_close_with},
      {"terminate", socket_terminate},
      {"set_paused", socket_set_paused},
      {"set_streaming", socket_set_streaming},
      {"accept", socket_accept},
      {"respond", socket_respond},
      {"respond_file", socket_respond_file},
      {"subscribe", socket_subscribe},
      {"unsubscribe", socket_unsubscribe},
      {"ready_state", socket_ready_state},
      {"buffered_amount", socket_buffered_amount},
      {"protocol", socket_protocol},
      {"extensions", socket_extensions},
      {"url", socket_url},
      {"peer_address", socket_peer_address},
      {"stats", socket_stats},
      {"queued", socket_queued},
      {"tls_info", socket_tls_info},
      {NULL, NULL},
  };
  lws_register_type(L, socket_type, methods, socket_gc);
}
