/* convert.c - see convert.h. */
#include "convert.h"

#include <string.h>

/* -- Strings and numbers --------------------------------------------------- */

static int raise_type(lua_State *L, int index, const char *name,
                      const char *expected) {
  return lws_raise(L, "TypeError", "%s: %s expected, got %s", name, expected,
                   luaL_typename(L, index));
}

const char *lws_check_string(lua_State *L, int index, const char *name,
                             size_t *out_len) {
  if (lua_type(L, index) != LUA_TSTRING) raise_type(L, index, name, "string");
  return lua_tolstring(L, index, out_len);
}

const char *lws_check_text(lua_State *L, int index, const char *name) {
  size_t len;
  const char *text = lws_check_string(L, index, name, &len);
  if (strlen(text) != len) {
    lws_raise(L, "TypeError", "%s: must not have a NUL", name);
  }
  return text;
}

const char *lws_opt_text(lua_State *L, int index, const char *name) {
  return lua_isnoneornil(L, index) ? NULL : lws_check_text(L, index, name);
}

static lua_Number check_number(lua_State *L, int index, const char *name) {
  if (lua_type(L, index) != LUA_TNUMBER) raise_type(L, index, name, "number");
  return lua_tonumber(L, index);
}

int lws_check_whole(lua_State *L, int index, const char *name, int min,
                    int max) {
  const lua_Number number = check_number(L, index, name);
  /* Written so that NaN is refused too. */
  if (!(number >= min && number <= max) || number != (int)number) {
    lws_raise(L, "TypeError", "%s: must be a whole number from %d to %d", name,
              min, max);
  }
  return (int)number;
}

uint64_t lws_check_milliseconds(lua_State *L, int index, const char *name,
                                uint64_t max) {
  const lua_Number seconds = check_number(L, index, name);
  if (!(seconds >= 0)) {
    lws_raise(L, "TypeError", "%s: must be a time in seconds", name);
  }
  const lua_Number exact = seconds * 1000;
  if (exact >= (lua_Number)max) return max;
  const uint64_t milliseconds = (uint64_t)exact;
  return (lua_Number)milliseconds < exact ? milliseconds + 1 : milliseconds;
}

/* -- Close, control frames, sending ---------------------------------------- */

/* The browser's "[Clamp] unsigned short" lets 1000.4 be 1000; here that is a
 * mistake (row 195), and 65536 + 1000 is no 1000. */
static uint16_t check_close_code(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return 0;
  const lua_Number code = check_number(L, index, "code");
  if (!(code >= 1 && code <= UINT16_MAX)) {
    lws_raise_err(L, WS_ERR_INVALID_ACCESS, NULL);
  }
  if (code != (uint16_t)code) {
    lws_raise(L, "TypeError", "code: must be a whole number");
  }
  return (uint16_t)code;
}

lws_close lws_check_close(lua_State *L, int index) {
  lws_close close = {.code = check_close_code(L, index)};
  if (!lua_isnoneornil(L, index + 1)) {
    close.reason = lws_check_string(L, index + 1, "reason", &close.reason_len);
  }
  return close;
}

int lws_settle_close(lua_State *L, int err, const char *codes) {
  if (err == WS_ERR_INVALID_ACCESS) {
    return lws_raise_err(L, err, codes);
  } else if (err == WS_ERR_SYNTAX) {
    return lws_raise(L, "SyntaxError", "reason: must be at most %d bytes",
                     WS_MAX_CLOSE_REASON);
  }
  return lws_raise_if(L, err, NULL);
}

int lws_settle_send(lua_State *L, int err) {
  if (err == 0 || err == WS_ERR_RANDOM || err == WS_ERR_SEND_QUEUE_FULL) {
    return 0;
  }
  const bool is_early = err == WS_ERR_INVALID_STATE;
  return lws_raise_err(L, err,
                       is_early ? "the connection is not open yet" : NULL);
}

const char *lws_check_control(lua_State *L, int index, size_t *out_len) {
  if (lua_isnoneornil(L, index)) {
    *out_len = 0;
    return "";
  }
  const char *data = lws_check_string(L, index, "data", out_len);
  if (*out_len > WS_MAX_CONTROL_PAYLOAD) {
    lws_raise(L, "TypeError", "data: must be at most %d bytes",
              WS_MAX_CONTROL_PAYLOAD);
  }
  return data;
}

unsigned lws_send_flags(lua_State *L, int index) {
  unsigned flags = 0;
  if (lua_toboolean(L, index)) flags |= WS_SEND_FRAGMENT;
  if (lua_toboolean(L, index + 1)) flags |= WS_SEND_UNCOMPRESSED;
  return flags;
}

/* -- Lists ----------------------------------------------------------------- */

const char **lws_check_strings(lua_State *L, int index, const char *name,
                               size_t *out_count) {
  index = lws_absolute(L, index);
  if (lua_type(L, index) == LUA_TSTRING) {
    const char **one = lua_newuserdata(L, 2 * sizeof(*one));
    one[0] = lws_check_text(L, index, name);
    one[1] = NULL;
    *out_count = 1;
    return one;
  }
  if (!lua_istable(L, index)) raise_type(L, index, name, "list of strings");
  const size_t count = lua_rawlen(L, index);
  if (count == 0) {
    lua_pushnil(L);
    if (lua_next(L, index)) raise_type(L, -1, name, "list of strings");
  }
  const char **items = lua_newuserdata(L, (count + 1) * sizeof(*items));
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    items[i] = lws_check_text(L, -1, name);
    lua_pop(L, 1); /* The list holds it. */
  }
  items[count] = NULL;
  *out_count = count;
  return items;
}

/* -- Headers --------------------------------------------------------------- */

/* Fills `items`, or with NULL only counts; so it runs twice over a table. */
typedef struct header_writer {
  ws_header *items;
  size_t count;
  const char *what;
} header_writer;

/* The strings at `name` and `value` are held by the table they came from. */
static void add_header(lua_State *L, header_writer *writer, int name,
                       int value) {
  ws_header header;
  header.name = lws_check_string(L, name, writer->what, &header.name_len);
  header.value = lws_check_string(L, value, writer->what, &header.value_len);
  if (writer->items != NULL) writer->items[writer->count] = header;
  writer->count++;
}

/* {name, value} on top. */
static void add_pair(lua_State *L, header_writer *writer) {
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  add_header(L, writer, -2, -1);
  lua_pop(L, 2);
}

/* A name below a list of its values on top. */
static void add_values(lua_State *L, header_writer *writer) {
  const size_t count = lua_rawlen(L, -1);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, (int)i);
    add_header(L, writer, -3, -1);
    lua_pop(L, 1);
  }
}

static void walk_headers(lua_State *L, int index, header_writer *writer) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const bool is_table = lua_istable(L, -1);
    if (is_table && lua_type(L, -2) == LUA_TNUMBER) {
      add_pair(L, writer);
    } else if (is_table) {
      add_values(L, writer);
    } else {
      add_header(L, writer, -2, -1);
    }
    lua_pop(L, 1);
  }
}

const ws_header *lws_check_headers(lua_State *L, int index, const char *name,
                                   size_t *out_count) {
  index = lws_absolute(L, index);
  if (!lua_istable(L, index)) raise_type(L, index, name, "table");
  header_writer writer = {.what = name};
  walk_headers(L, index, &writer);
  writer.items = lua_newuserdata(L, (writer.count + 1) * sizeof(ws_header));
  writer.count = 0;
  walk_headers(L, index, &writer);
  *out_count = writer.count;
  return writer.items;
}

/* -- Answers to requests --------------------------------------------------- */

ws_conn_answer lws_check_answer(lua_State *L) {
  lua_settop(L, 4);
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.protocol = lws_opt_text(L, 2, "protocol");
  if (!lua_isnil(L, 3)) {
    answer.headers = lws_check_headers(L, 3, "headers", &answer.header_count);
  }
  answer.decline_compression = lua_isboolean(L, 4) && !lua_toboolean(L, 4);
  return answer;
}

lws_response lws_check_response(lua_State *L) {
  lua_settop(L, 4);
  lws_response response = {.body = ""};
  response.status = (uint16_t)lws_check_whole(L, 2, "status", 0, UINT16_MAX);
  if (!lua_isnil(L, 3)) {
    response.body = lws_check_string(L, 3, "body", &response.body_len);
  }
  if (!lua_isnil(L, 4)) {
    response.headers =
        lws_check_headers(L, 4, "headers", &response.header_count);
  }
  return response;
}

/* -- To Lua ---------------------------------------------------------------- */

void lws_set_count(lua_State *L, const char *name, uint64_t value) {
  lws_push_count(L, value);
  lua_setfield(L, -2, name);
}

void lws_set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

void lws_set_boolean(lua_State *L, const char *name, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

void lws_push_conn_stats(lua_State *L, const ws_conn_stats *stats) {
  lua_createtable(L, 0, 7);
  lws_set_count(L, "bytes_received", stats->bytes_received);
  lws_set_count(L, "bytes_sent", stats->bytes_sent);
  lws_set_count(L, "messages_received", stats->messages_received);
  lws_set_count(L, "messages_sent", stats->messages_sent);
  lws_set_count(L, "bytes_queued", stats->bytes_queued);
  lws_set_count(L, "bytes_held", stats->bytes_held);
  if (stats->rtt != WS_NEVER) {
    lua_pushnumber(L, (lua_Number)stats->rtt / 1000);
    lua_setfield(L, -2, "rtt");
  }
}
