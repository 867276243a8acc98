/* convert.h - values between Python and C: text, payloads, times, close codes,
 * headers, sockets. Whatever converts checks first, so that a call with a wrong
 * argument changes nothing. */
#ifndef CORE_CONVERT_H
#define CORE_CONVERT_H

#include "state.h"

/* -- Text ------------------------------------------------------------------ */

/* Text as a browser's USVString: valid UTF-8, in which a pair of surrogates is
 * its character and a lone one U+FFFD. `data` is borrowed from `owner`. */
typedef struct core_text {
  const char *data;
  size_t len;
  PyObject *owner;
} core_text;

int core_text_get(PyObject *text, core_text *out);
void core_text_release(core_text *text);

/* Latin-1, as HTTP's bytes are shown. */
PyObject *core_latin1(const char *text);

/* Returns UTF-8 that ends in NUL and has no other, borrowed from `text`, or
 * NULL with an exception that names the argument. */
const char *core_c_string(PyObject *text, const char *name);

/* -- Payloads -------------------------------------------------------------- */

/* What is sent: a str as text, bytes-like as binary. `data` is valid until
 * core_payload_release(). */
typedef struct core_payload {
  const void *data;
  size_t len;
  ws_message_type type;
  unsigned flags; /* ws_send_flags */
  core_text text;
  Py_buffer view;
  bool has_view;
} core_payload;

/* TypeError for other types. */
int core_payload_get(PyObject *object, core_payload *out);
void core_payload_release(core_payload *payload);

/* The data of a message as applications get it. */
PyObject *core_data_of_message(ws_message_type type, const uint8_t *data,
                               size_t len, bool as_bytearray);

/* Gives bytes that nobody else refers to other content, of the same length.
 * Returns whether that is possible. */
bool core_bytes_refill(PyObject *bytes, const uint8_t *data, size_t len);

/* A piece of a message: (data, is_text, is_first, is_last), the data as bytes,
 * since a piece of text may end inside a character. */
PyObject *core_piece_of_message(const ws_event_data *event);

/* -- Numbers and times ----------------------------------------------------- */

/* Seconds to milliseconds, rounded up. ValueError when negative or no number
 * of time. */
int core_milliseconds(PyObject *seconds, const char *name, uint64_t *out);

/* The arguments of close(), each may be NULL or None, as the browser checks
 * them: InvalidAccessError for a code that is not 1000 or 3000 to 4999 (or, for
 * `any_code`, that must not be on the wire), then SyntaxError for a reason that
 * is too long. Release with core_text_release(). */
typedef struct core_close {
  uint16_t code;
  core_text reason;
} core_close;

int core_close_get(core_state *state, PyObject *code, PyObject *reason,
                   bool any_code, core_close *out);

/* -- Attributes -------------------------------------------------------------- */

/* Gets an attribute that may be missing: then `*out` is NULL without exception.
 */
int core_find_attribute(PyObject *object, PyObject *name, PyObject **out);

/* -- Lists ----------------------------------------------------------------- */

/* An array of strings or headers for C, and the objects they are borrowed
 * from. Zeroed, it is empty. */
typedef struct core_strings {
  const char **items;
  size_t count;
  PyObject *owner;
} core_strings;

/* A str alone, or an iterable of str; None or NULL for none. TypeError
 * otherwise. `items` ends in NULL. */
int core_strings_get(PyObject *object, const char *name, core_strings *out);
void core_strings_release(core_strings *strings);

typedef struct core_header_list {
  ws_header *items;
  size_t count;
  PyObject *owner;
} core_header_list;

/* A mapping, or an iterable of pairs of str; None or NULL for none. With
 * `is_request`, TypeError for names that the handshake itself uses. */
int core_header_list_get(core_state *state, PyObject *object, bool is_request,
                         core_header_list *out);
void core_header_list_release(core_header_list *list);

/* -- Sockets --------------------------------------------------------------- */

/* Takes a descriptor over from a socket object, by detach(), or an int. */
int core_take_fd(core_state *state, PyObject *socket, int *out_fd);

#endif
