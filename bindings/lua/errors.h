/* errors.h - what the binding raises and returns.
 *
 * Misuse raises a table {name, code, message}, `name` being that of the
 * browser's exception; its message begins with the line of the application, as
 * those of Lua do. Trouble with the network never raises. A call that
 * reports it returns nil, message, code, where code is such as
 * "WS_ERR_CONNECT". */
#ifndef LWS_ERRORS_H
#define LWS_ERRORS_H

#include "compat.h"
#include "ws/base.h"

LWS_HIDDEN_BEGIN

/* Raises the exception called `name`: one of TypeError, SyntaxError,
 * InvalidStateError, InvalidAccessError. The message is formatted as by
 * lua_pushfstring(). */
int lws_raise(lua_State *L, const char *name, const char *format, ...);

/* Raises what `err` stands for in the browser's API; `reason` (may be NULL)
 * says more. Running out of memory is Lua's own error for it. */
int lws_raise_err(lua_State *L, int err, const char *reason);

/* lws_raise_err() unless `err` is 0; returns 0. */
int lws_raise_if(lua_State *L, int err, const char *reason);

/* Pushes "WS_ERR_" and the name of `err`. */
void lws_push_code(lua_State *L, int err);

/* Pushes nil, message, code. Returns how many. */
int lws_push_failure(lua_State *L, int err, const char *message);

/* Pushes the metatable of the error tables, which both modules share. */
void lws_push_error_class(lua_State *L);

LWS_HIDDEN_END

#endif
