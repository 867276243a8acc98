/* convert.h - values between Lua and C: strings, payloads, times, close codes,
 * lists and headers. What converts checks first, so that a call with a wrong
 * argument changes nothing. Pointers are borrowed from Lua values: from the one
 * that was converted, or from what is left on the stack. */
#ifndef LWS_CONVERT_H
#define LWS_CONVERT_H

#include "compat.h"
#include "errors.h"
#include "ws/conn.h"

LWS_HIDDEN_BEGIN

/* A string; numbers are none. TypeError names the argument. */
const char *lws_check_string(lua_State *L, int index, const char *name,
                             size_t *out_len);

/* The same without a NUL inside, which C could not see behind. */
const char *lws_check_text(lua_State *L, int index, const char *name);

/* nil gives NULL. */
const char *lws_opt_text(lua_State *L, int index, const char *name);

/* A whole number from `min` to `max`. */
int lws_check_whole(lua_State *L, int index, const char *name, int min,
                    int max);

/* Seconds, not negative, as milliseconds, rounded up, so that a wait is never
 * too short. What is beyond `max`, and infinity, is `max`. */
uint64_t lws_check_milliseconds(lua_State *L, int index, const char *name,
                                uint64_t max);

/* Close code and reason at `index` and `index` + 1, each may be nil; the code
 * is checked for being a number that C can hold, all else by the library. */
typedef struct lws_close {
  uint16_t code; /* 0 when nil. */
  const char *reason;
  size_t reason_len;
} lws_close;

lws_close lws_check_close(lua_State *L, int index);

/* Raises what closing has found wrong with them; `codes` says which codes are
 * allowed. Returns 0. */
int lws_settle_close(lua_State *L, int err, const char *codes);
#define LWS_CODES_OF_BROWSER "code: must be 1000, or from 3000 to 4999"
#define LWS_CODES_OF_WIRE    "code: must be one that may be on the wire"

/* Raises what sending has found wrong. What failed the connection comes as its
 * events; only misuse raises. Returns 0. */
int lws_settle_send(lua_State *L, int err);

/* A ping's or pong's payload, "" when nil. */
const char *lws_check_control(lua_State *L, int index, size_t *out_len);

/* An array of strings, ended by NULL, and how many there are. The array is in a
 * userdata that is pushed. A string stands for a list of one. */
const char **lws_check_strings(lua_State *L, int index, const char *name,
                               size_t *out_count);

/* Headers from {name = value} or {name = {value, value}} or {{name, value},
 * ...}. The array is in a userdata that is pushed. */
const ws_header *lws_check_headers(lua_State *L, int index, const char *name,
                                   size_t *out_count);

/* How a request is answered, from the arguments of accept(protocol, headers,
 * compression) and respond(status, body, headers), which begin at index 2.
 * Pushes what is borrowed from. */
ws_conn_answer lws_check_answer(lua_State *L);

typedef struct lws_response {
  uint16_t status;
  const char *body;
  size_t body_len;
  const ws_header *headers;
  size_t header_count;
} lws_response;

lws_response lws_check_response(lua_State *L);

/* Sends flags and type from the booleans at `index`: binary, fragment,
 * uncompressed. */
unsigned lws_send_flags(lua_State *L, int index);

/* Pushes the statistics of a connection as a table. */
void lws_push_conn_stats(lua_State *L, const ws_conn_stats *stats);

/* t[name] = value for the table on top. */
void lws_set_count(lua_State *L, const char *name, uint64_t value);
void lws_set_string(lua_State *L, const char *name, const char *value);
void lws_set_boolean(lua_State *L, const char *name, bool value);

LWS_HIDDEN_END

#endif
