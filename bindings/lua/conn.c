/* conn.c - the protocol without I/O, for those who bring their own transport.
 *
 * What is fed is copied, since Lua's strings cannot be unmasked in place: to
 * where the connection wants it if it says so, otherwise to a block that lives
 * until all of it has been used. Mostly that is the one block that all
 * connections of a state share, which one after the other uses.
 *
 * What is sent is copied too, but a long message that is shown in the same
 * call: that one is lent to the connection, and given out again as the string
 * that it is, until consume() says how much of it has been written. */
#include "conn.h"
#include "config.h"
#include "convert.h"
#include "event.h"
#include "memory.h"

#include <limits.h>
#include <string.h>

static const char conn_type[] = "libws.conn";

/* Methods find the shared input as their upvalue. */
#define SHARED_UPVALUE lua_upvalueindex(1)

/* A message of 64 KiB with its head, or what a host reads at a time. */
#define SHARED_SIZE (65 * 1024)

/* A userdata without finalizer, so it is there as long as a connection is. */
typedef struct shared_input {
  bool is_taken;
  uint8_t bytes[SHARED_SIZE];
} shared_input;

/* A string that the connection has borrowed. */
typedef struct loan {
  const char *data;
  size_t len;
  int reference; /* Keeps it; LUA_NOREF when there is none. */
} loan;

typedef struct conn_box {
  const char *type; /* conn_type. */
  ws_conn *conn;    /* NULL: closed, or not made yet. */
  ws_allocator allocator;
  uint8_t *input; /* What was fed and is not used up; may be NULL. */
  size_t input_size;
  shared_input *shared;       /* If that is where `input` points, else NULL. */
  ws_message_type unfinished; /* Of a message sent in fragments; or 0. */
  loan loan;
  ws_conn_event event; /* Pulled, but not yet given to Lua. */
  bool has_event;
} conn_box;

static bool take_input(conn_box *box, shared_input *shared, size_t len) {
  if (!shared->is_taken && len <= sizeof(shared->bytes)) {
    shared->is_taken = true;
    box->shared = shared;
    box->input = shared->bytes;
    return true;
  }
  box->input = lws_resize(&box->allocator, NULL, 0, len);
  box->input_size = len;
  return box->input != NULL;
}

static void free_input(conn_box *box) {
  if (box->shared != NULL) {
    box->shared->is_taken = false;
    box->shared = NULL;
  } else if (box->input != NULL) {
    (void)lws_resize(&box->allocator, box->input, box->input_size, 0);
  }
  box->input = NULL;
}

static void drop_loan(lua_State *L, conn_box *box) {
  luaL_unref(L, LUA_REGISTRYINDEX, box->loan.reference);
  box->loan = (loan){.reference = LUA_NOREF};
}

/* Idempotent, and the collector. */
static int conn_free(lua_State *L) {
  conn_box *box = lws_check_typed(L, 1, conn_type, sizeof(*box));
  box->has_event = false;
  ws_conn_free(box->conn);
  box->conn = NULL;
  free_input(box);
  drop_loan(L, box);
  return 0;
}

/* The connection that a method is called on. */
static conn_box *check_box(lua_State *L) {
  conn_box *box = lws_check_typed(L, 1, conn_type, sizeof(*box));
  if (box->conn == NULL) lws_raise_err(L, WS_ERR_INVALID_STATE, NULL);
  return box;
}

static ws_conn *check(lua_State *L) {
  return check_box(L)->conn;
}

/* Monotonic seconds of the caller. */
static uint64_t check_now(lua_State *L, int index) {
  return lws_check_milliseconds(L, index, "now", WS_NO_DEADLINE - 1);
}

/* -- Life ------------------------------------------------------------------ */

/* conn(role or config, now, options). The connection keeps its configuration.
 */
int lws_conn_new(lua_State *L) {
  const uint64_t now = check_now(L, 2);
  lua_settop(L, 3);
  ws_conn_config *config = lws_to_config(L, 1, 3);
  conn_box *box = lua_newuserdata(L, sizeof(*box));
  *box = (conn_box){.type = conn_type,
                    .allocator = lws_allocator(L),
                    .loan = {.reference = LUA_NOREF}};
  luaL_getmetatable(L, conn_type);
  lua_setmetatable(L, -2);
  const int err = ws_conn_new(config, now, &box->conn);
  return err == 0 ? 1 : lws_raise_err(L, err, NULL);
}

/* conn:connect(url, protocols, headers, origin): the request is output. */
static int conn_connect(lua_State *L) {
  ws_conn *conn = check(L);
  size_t len;
  const char *text = lws_check_string(L, 2, "url", &len);
  lua_settop(L, 5);
  ws_conn_request request;
  ws_conn_request_init(&request);
  if (!lua_isnil(L, 3)) {
    request.protocols =
        lws_check_strings(L, 3, "protocols", &request.protocol_count);
  }
  if (!lua_isnil(L, 4)) {
    request.headers = lws_check_headers(L, 4, "headers", &request.header_count);
  }
  request.origin = lws_opt_text(L, 5, "origin");

  const char *reason = NULL;
  ws_url *url;
  int err = ws_url_parse(text, len, NULL, &url, &reason);
  if (err != 0) return lws_raise_err(L, err, reason);
  request.url = url;
  err = ws_conn_connect(conn, &request, &reason);
  ws_url_free(url);
  return lws_raise_if(L, err, reason);
}

/* conn:accept(protocol, headers, compression) */
static int conn_accept(lua_State *L) {
  ws_conn *conn = check(L);
  const ws_conn_answer answer = lws_check_answer(L);
  const char *reason = NULL;
  const int err = ws_conn_accept(conn, &answer, &reason);
  return lws_raise_if(L, err, reason);
}

/* conn:respond(status, body, headers) */
static int conn_respond(lua_State *L) {
  ws_conn *conn = check(L);
  const lws_response r = lws_check_response(L);
  const char *reason = NULL;
  const int err = ws_conn_respond(conn, r.status, r.headers, r.header_count,
                                  r.body, r.body_len, &reason);
  return lws_raise_if(L, err, reason);
}

/* -- Bytes and time in ----------------------------------------------------- */

static int conn_tick(lua_State *L) {
  ws_conn *conn = check(L);
  ws_conn_tick(conn, check_now(L, 2));
  return 0;
}

static int push_deadline(lua_State *L, const ws_conn *conn) {
  const uint64_t deadline = ws_conn_deadline(conn);
  if (deadline == WS_NO_DEADLINE) return 0;
  lua_pushnumber(L, (lua_Number)deadline / 1000);
  return 1;
}

/* conn:deadline() -> seconds, or nil when nothing is waited for */
static int conn_deadline(lua_State *L) {
  return push_deadline(L, check(L));
}

/* Copies input to where the connection can unmask it. */
static int feed(lua_State *L, conn_box *box) {
  size_t len;
  const char *data = lws_check_string(L, 2, "data", &len);
  if (!lua_isnoneornil(L, 3)) ws_conn_tick(box->conn, check_now(L, 3));
  if (len == 0) return 0;
  if (box->input != NULL || box->has_event) {
    return lws_raise(L, "InvalidStateError", "earlier input is not used up");
  }
  uint8_t *place;
  size_t room;
  ws_conn_input(box->conn, &place, &room);
  if (room < len) {
    if (!take_input(box, lua_touserdata(L, SHARED_UPVALUE), len)) {
      return lws_raise_err(L, WS_ERR_NO_MEMORY, NULL);
    }
    place = box->input;
  }
  memcpy(place, data, len);
  const int err = ws_conn_feed(box->conn, place, len);
  return err == 0 ? 0 : lws_raise_err(L, err, "earlier input is not used up");
}

/* conn:feed(data, now); without `now`, no time has gone by. Before the next
 * feed, next() has to return nothing. */
static int conn_feed(lua_State *L) {
  return feed(L, check_box(L));
}

static int conn_eof(lua_State *L) {
  ws_conn_eof(check(L));
  return 0;
}

/* conn:abort(has_failed): the transport failed, or the application wants an
 * end. */
static int conn_abort(lua_State *L) {
  ws_conn_abort(check(L), lua_toboolean(L, 2) ? WS_ERR_TRANSPORT : 0);
  return 0;
}

/* -- Events out ------------------------------------------------------------ */

static size_t queued(const ws_conn *conn) {
  ws_conn_stats stats;
  ws_conn_get_stats(conn, &stats);
  return (size_t)stats.bytes_queued;
}

/* All input is used up: nil, queued(), deadline(). */
static int push_rest(lua_State *L, conn_box *box) {
  free_input(box);
  lua_pushnil(L);
  lws_push_count(L, queued(box->conn));
  return 2 + push_deadline(L, box->conn);
}

static int push_next(lua_State *L, conn_box *box) {
  luaL_checkstack(L, LWS_EVENT_STACK, "event");
  if (!box->has_event && !ws_conn_next_event(box->conn, &box->event)) {
    return push_rest(L, box);
  }
  box->has_event = true;
  lua_pushinteger(L, box->event.type);
  const int count = lws_push_event_values(L, box->event.type, &box->event.u);
  box->has_event = false;
  return 1 + count;
}

/* conn:next() -> type, values; or when all input is used up, nil, what queued()
 * returns, and what deadline() does. */
static int conn_next(lua_State *L) {
  return push_next(L, check_box(L));
}

/* conn:receive(data, now) is feed(data, now) and next(). */
static int conn_receive(lua_State *L) {
  conn_box *box = check_box(L);
  feed(L, box);
  return push_next(L, box);
}

static int conn_set_paused(lua_State *L) {
  ws_conn_set_paused(check(L), lua_toboolean(L, 2));
  return 0;
}

static int conn_set_streaming(lua_State *L) {
  ws_conn_set_streaming(check(L), lua_toboolean(L, 2));
  return 0;
}

/* -- Sending --------------------------------------------------------------- */

/* How messages are sent: ws_conn_send() or ws_conn_send_borrowed(). */
typedef int send_fn(ws_conn *conn, ws_message_type type, const void *data,
                    size_t len, unsigned flags);

/* Sends what stands at `index`, with the other arguments of conn:send() behind
 * it. */
static int send_with(send_fn *send, lua_State *L, conn_box *box, int index) {
  size_t len;
  const char *data = lws_check_string(L, index, "data", &len);
  const unsigned flags = lws_send_flags(L, index + 2);
  ws_message_type type = lua_toboolean(L, index + 1) ? WS_BINARY : WS_TEXT;
  if (box->unfinished != 0) type = box->unfinished;
  const int err = send(box->conn, type, data, len, flags);
  if (err == 0) {
    box->unfinished = flags & WS_SEND_FRAGMENT ? type : (ws_message_type)0;
  }
  return lws_settle_send(L, err);
}

/* conn:send(data, is_binary, is_fragment, is_uncompressed) */
static int conn_send(lua_State *L) {
  return send_with(ws_conn_send, L, check_box(L), 2);
}

/* conn:send_message(message), of one made by message() */
static int conn_send_message(lua_State *L) {
  ws_message *message = lws_check_message(L, 2);
  const int err = ws_conn_send_message(check(L), message);
  /* Nor may there be an unfinished message of fragments. */
  if (err == WS_ERR_INVALID_STATE) return lws_raise_err(L, err, NULL);
  return lws_settle_send(L, err);
}

static int conn_ping(lua_State *L) {
  size_t len;
  const char *data = lws_check_control(L, 2, &len);
  return lws_settle_send(L, ws_conn_send_ping(check(L), data, len));
}

static int conn_pong(lua_State *L) {
  size_t len;
  const char *data = lws_check_control(L, 2, &len);
  return lws_settle_send(L, ws_conn_send_pong(check(L), data, len));
}

static int conn_close(lua_State *L) {
  const lws_close c = lws_check_close(L, 2);
  const int err = ws_conn_close(check(L), c.code, c.reason, c.reason_len);
  return lws_settle_close(L, err, LWS_CODES_OF_BROWSER);
}

static int conn_close_with(lua_State *L) {
  const lws_close c = lws_check_close(L, 2);
  const int err = ws_conn_close_with(check(L), c.code, c.reason, c.reason_len);
  return lws_settle_close(L, err, LWS_CODES_OF_WIRE);
}

/* -- Bytes out ------------------------------------------------------------- */

#define MAX_SLICES 16

/* To keep a string costs more than to copy one that is shorter than this. */
#define LOAN_MIN ((size_t)4096)

/* Says what has been written; a loan ends with it. Returns how much is left. */
static size_t consume(lua_State *L, conn_box *box, size_t written) {
  /* What an end has dropped meanwhile is nothing that can be consumed. */
  const size_t had = queued(box->conn);
  if (written > had) written = had;
  ws_conn_consume(box->conn, written);
  if (box->loan.reference != LUA_NOREF) {
    (void)ws_conn_own_output(box->conn); /* Events tell of a failure. */
    drop_loan(L, box);
  }
  return had - written;
}

/* conn:output() -> the next bytes to write, or nil. They are taken out only
 * when the string has been made. */
static int conn_output(lua_State *L) {
  conn_box *box = check_box(L);
  ws_slice slices[MAX_SLICES];
  const size_t count = ws_conn_output(box->conn, slices, MAX_SLICES);
  if (count == 0) return 0;
  luaL_checkstack(L, MAX_SLICES, "output");
  size_t total = 0;
  for (size_t i = 0; i < count; i++) {
    lua_pushlstring(L, (const char *)slices[i].data, slices[i].len);
    total += slices[i].len;
  }
  lua_concat(L, (int)count);
  consume(L, box, total);
  return 1;
}

static void push_slice(lua_State *L, const loan *lent, const ws_slice *slice) {
  const char *data = (const char *)slice->data;
  if (data == lent->data && slice->len == lent->len) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, lent->reference);
  } else {
    lua_pushlstring(L, data, slice->len);
  }
}

static int push_output(lua_State *L, const conn_box *box, size_t max) {
  ws_slice slices[MAX_SLICES];
  const size_t count = ws_conn_output(box->conn, slices, MAX_SLICES);
  if (count == 0) return 0;
  luaL_checkstack(L, MAX_SLICES, "output");
  if (slices[0].len > max) slices[0].len = max;
  size_t pushed = 0;
  while (pushed < count && slices[pushed].len <= max) {
    push_slice(L, &box->loan, &slices[pushed]);
    max -= slices[pushed++].len;
  }
  return (int)pushed;
}

static size_t check_max(lua_State *L) {
  return (size_t)lws_check_whole(L, 2, "max", 1, INT_MAX);
}

/* conn:peek(max) -> the next bytes, as strings, as they lie in memory; nothing
 * if there are none. It is at most so many, and none is cut but the first. They
 * stay until consume() says that they have been written. */
static int conn_peek(lua_State *L) {
  const conn_box *box = check_box(L);
  return push_output(L, box, check_max(L));
}

/* Lends the string at `index` to the connection. */
static void lend(lua_State *L, conn_box *box, int index) {
  lua_pushvalue(L, index);
  box->loan.reference = luaL_ref(L, LUA_REGISTRYINDEX);
  box->loan.data = lua_tolstring(L, index, &box->loan.len);
}

/* conn:send_and_peek(max, data, is_binary, is_fragment, is_uncompressed) is
 * send(data, ...) and peek(max). */
static int conn_send_and_peek(lua_State *L) {
  conn_box *box = check_box(L);
  const size_t max = check_max(L);
  size_t len;
  (void)lws_check_string(L, 3, "data", &len);
  if (len < LOAN_MIN || len > max || box->loan.reference != LUA_NOREF) {
    send_with(ws_conn_send, L, box, 3);
  } else {
    lend(L, box, 3);
    send_with(ws_conn_send_borrowed, L, box, 3);
  }
  return push_output(L, box, max);
}

/* conn:consume(written) -> how much is left. */
static int conn_consume(lua_State *L) {
  conn_box *box = check_box(L);
  const int written = lws_check_whole(L, 2, "written", 0, INT_MAX);
  lws_push_count(L, consume(L, box, (size_t)written));
  return 1;
}

/* -- Attributes ------------------------------------------------------------ */

static int conn_ready_state(lua_State *L) {
  lua_pushinteger(L, ws_conn_state(check(L)));
  return 1;
}

static int conn_buffered_amount(lua_State *L) {
  lws_push_count(L, ws_conn_buffered_amount(check(L)));
  return 1;
}

static int conn_protocol(lua_State *L) {
  lua_pushstring(L, ws_conn_protocol(check(L)));
  return 1;
}

static int conn_extensions(lua_State *L) {
  lua_pushstring(L, ws_conn_extensions(check(L)));
  return 1;
}

static int conn_stats(lua_State *L) {
  ws_conn_stats stats;
  ws_conn_get_stats(check(L), &stats);
  lws_push_conn_stats(L, &stats);
  return 1;
}

/* Bytes that wait in output(). */
static int conn_queued(lua_State *L) {
  lws_push_count(L, queued(check(L)));
  return 1;
}

/* [metatable] -> [metatable, shared input]. It belongs to the state, for which
 * the module may be loaded more than once. */
static void push_shared_input(lua_State *L) {
  lua_getfield(L, -1, "shared_input");
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  shared_input *shared = lua_newuserdata(L, sizeof(*shared));
  shared->is_taken = false;
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "shared_input");
}

void lws_conn_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"free", conn_free},
      {"connect", conn_connect},
      {"accept", conn_accept},
      {"respond", conn_respond},
      {"tick", conn_tick},
      {"deadline", conn_deadline},
      {"feed", conn_feed},
      {"eof", conn_eof},
      {"abort", conn_abort},
      {"next", conn_next},
      {"receive", conn_receive},
      {"set_paused", conn_set_paused},
      {"set_streaming", conn_set_streaming},
      {"send", conn_send},
      {"send_and_peek", conn_send_and_peek},
      {"send_message", conn_send_message},
      {"ping", conn_ping},
      {"pong", conn_pong},
      {"close", conn_close},
      {"close_with", conn_close_with},
      {"output", conn_output},
      {"peek", conn_peek},
      {"consume", conn_consume},
      {"ready_state", conn_ready_state},
      {"buffered_amount", conn_buffered_amount},
      {"protocol", conn_protocol},
      {"extensions", conn_extensions},
      {"stats", conn_stats},
      {"queued", conn_queued},
      {NULL, NULL},
  };
  static const luaL_Reg none[] = {{NULL, NULL}};
  lws_register_type(L, conn_type, none, conn_free);
  luaL_getmetatable(L, conn_type);
  lua_getfield(L, -1, "__index");
  lua_insert(L, -2);
  push_shared_input(L);
  lua_remove(L, -2);
  luaL_setfuncs(L, methods, 1);
  lua_pop(L, 1);
}
