/* options.h - tables of options, read by lists of fields.
 *
 * An option that no list has is a TypeError, so that a misspelt limit does not
 * silently stay at its default. For a limit or a time, false or math.huge means
 * "none". */
#ifndef LWS_OPTIONS_H
#define LWS_OPTIONS_H

#include "convert.h"

LWS_HIDDEN_BEGIN

/* Stores the value on top of the stack at `place`. What is stored may point
 * into the value, or into what is put into the table at `anchors`. */
typedef void (*lws_reader)(lua_State *L, const char *name, void *place,
                           int anchors);

/* One option: how it is read, and where in the struct it goes. */
typedef struct lws_field {
  const char *name;
  lws_reader read;
  size_t offset;
} lws_field;

/* A list of fields, and the struct that they are fields of. */
typedef struct lws_target {
  const lws_field *fields;
  size_t count;
  void *options;
} lws_target;

/* Reads the table at `index` (nil reads as empty) into the targets. Pushes one
 * value, which what was stored is borrowed from, as it is from the table. */
void lws_read_options(lua_State *L, int index, const lws_target *targets,
                      size_t target_count);

/* The fields of a ws_conn_options. */
lws_target lws_conn_target(ws_conn_options *options);

/* The readers; the comments say what they store. */
void lws_read_count64(lua_State *L, const char *, void *, int); /* uint64_t */
void lws_read_count32(lua_State *L, const char *, void *, int); /* uint32_t */
void lws_read_count8(lua_State *L, const char *, void *, int);  /* uint8_t */
void lws_read_time(lua_State *L, const char *, void *, int); /* uint32_t, ms */
void lws_read_boolean(lua_State *L, const char *, void *, int); /* bool */
void lws_read_text(lua_State *L, const char *, void *, int); /* const char * */
/* const char *const *, and a size_t behind it. */
void lws_read_strings(lua_State *L, const char *, void *, int);
/* const ws_header *, and a size_t behind it. */
void lws_read_headers(lua_State *L, const char *, void *, int);
void lws_read_fd(lua_State *L, const char *, void *, int);   /* int */
void lws_read_port(lua_State *L, const char *, void *, int); /* uint16_t */

LWS_HIDDEN_END

#endif
