/* extension.c - reads extension lists and agrees on permessage-deflate.
 *
 * The scanner steps through a list element by element and keeps of each only
 * what permessage-deflate could want of it, so that nothing is allocated and
 * names of unknown extensions never become anything. */
#include "proto/extension.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/detail.h"

#define EXTENSIONS "Sec-WebSocket-Extensions"

/* RFC 7692 7.1.2: "a decimal integer value without leading zeroes between 8 to
 * 15, inclusive". */
#define MIN_WINDOW_BITS 8
#define MAX_WINDOW_BITS 15

/* The parameters of permessage-deflate (RFC 7692 7.1). */
enum param {
  SERVER_NO_CONTEXT_TAKEOVER,
  CLIENT_NO_CONTEXT_TAKEOVER,
  SERVER_MAX_WINDOW_BITS,
  CLIENT_MAX_WINDOW_BITS,
  PARAM_COUNT
};

static const char *const param_names[PARAM_COUNT] = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
};

/* One element of a list, seen as permessage-deflate. */
typedef struct element {
  bool is_deflate; /* It has the name, */
  bool is_legal;   /* and every parameter is known, legal and there once. */
  bool has[PARAM_COUNT];
  uint8_t bits[PARAM_COUNT]; /* The window bits; 0 where no value is given. */
} element;

/* -- Grammar (RFC 6455 9.1) ------------------------------------------------ */

typedef struct slice {
  const char *text;
  size_t len;
} slice;

/* Steps through the elements of all headers of the name, which "is logically
 * the same as a single header field that contains all values" (RFC
 * 6455 11.3.2). */
typedef struct scanner {
  const ws__http_head *head;
  const ws_header *header; /* The one being read; NULL before the first. */
  const char *at;
  const char *end;
} scanner;

static bool slice_is(slice s, const char *text) {
  return s.len == strlen(text) && memcmp(s.text, text, s.len) == 0;
}

static bool take(scanner *s, char c) {
  if (s->at == s->end || *s->at != c) return false;
  s->at++;
  return true;
}

static void skip_blanks(scanner *s) {
  while (s->at < s->end && ws__http_is_blank(*s->at))
    s->at++;
}

static bool take_token(scanner *s, slice *out) {
  out->text = s->at;
  while (s->at < s->end && ws__http_is_token_char(*s->at))
    s->at++;
  out->len = (size_t)(s->at - out->text);
  return out->len > 0;
}

/* Takes `token | quoted-string`, where of the latter "the value after
 * quoted-string unescaping MUST conform to the 'token' ABNF". The slice is what
 * stands between the quotes, still escaped; a backslash in it is never part of
 * the value, because no token has one. */
static bool take_value(scanner *s, slice *out) {
  if (!take(s, '"')) return take_token(s, out);
  out->text = s->at;
  while (!take(s, '"')) {
    (void)take(s, '\\');
    if (s->at == s->end || !ws__http_is_token_char(*s->at)) {
      return false;
    }
    s->at++;
  }
  out->len = (size_t)(s->at - 1 - out->text);
  return out->len > 0;
}

/* The number a value stands for, or 0 if that is no legal window size. */
static uint8_t window_bits(slice value) {
  unsigned bits = 0;
  for (size_t i = 0; i < value.len; i++) {
    const char c = value.text[i];
    if (c == '\\') continue;
    if (!ws__is_digit(c) || (c == '0' && bits == 0)) return 0;
    bits = bits * 10 + (unsigned)(c - '0');
    if (bits > MAX_WINDOW_BITS) return 0;
  }
  return bits >= MIN_WINDOW_BITS ? (uint8_t)bits : 0;
}

static enum param find_param(slice name) {
  int i = 0;
  while (i < PARAM_COUNT && !slice_is(name, param_names[i]))
    i++;
  return (enum param)i;
}

/* Notes a parameter; `value` is NULL when it has none. Returns whether it is
 * legal in an offer. */
static bool note_param(element *e, slice name, const slice *value) {
  const enum param param = find_param(name);
  if (param == PARAM_COUNT || e->has[param]) return false;
  e->has[param] = true;
  switch (param) {
  case SERVER_NO_CONTEXT_TAKEOVER:
  case CLIENT_NO_CONTEXT_TAKEOVER: return value == NULL;
  case CLIENT_MAX_WINDOW_BITS:
    if (value == NULL) return true;
    break;
  case SERVER_MAX_WINDOW_BITS:
    if (value == NULL) return false;
    break;
  case PARAM_COUNT: return false;
  }
  e->bits[param] = window_bits(*value);
  return e->bits[param] != 0;
}

/* extension-param = token [ "=" (token | quoted-string) ] */
static bool take_param(scanner *s, element *e) {
  slice name, value;
  skip_blanks(s);
  if (!take_token(s, &name)) return false;
  skip_blanks(s);
  const bool has_value = take(s, '=');
  if (has_value) {
    skip_blanks(s);
    if (!take_value(s, &value)) return false;
    skip_blanks(s);
  }
  if (!note_param(e, name, has_value ? &value : NULL)) e->is_legal = false;
  return true;
}

/* extension = extension-token *( ";" extension-param ), up to its comma or the
 * end of the header. */
static bool take_element(scanner *s, element *e) {
  slice name;
  skip_blanks(s);
  if (!take_token(s, &name)) return false;
  *e = (element){.is_deflate = slice_is(name, "permessage-deflate"),
                 .is_legal = true};
  skip_blanks(s);
  while (take(s, ';')) {
    if (!take_param(s, e)) return false;
  }
  return s->at == s->end || *s->at == ',';
}

/* extension-list = 1#extension. Empty elements are errors.
 * Returns 0 or WS_ERR_INVALID_EXTENSIONS; `*has_element` is false at the end.
 */
static int next_element(scanner *s, element *e, bool *has_element,
                        const char **reason) {
  *has_element = true;
  if (!take(s, ',')) {
    s->header = ws__http_next(s->head, EXTENSIONS, s->header);
    if (s->header == NULL) {
      *has_element = false;
      return 0;
    }
    s->at = s->header->value;
    s->end = s->at + s->header->value_len;
  }
  if (take_element(s, e)) return 0;
  return ws__fail(WS_ERR_INVALID_EXTENSIONS, "malformed " EXTENSIONS, reason);
}

/* -- Writing --------------------------------------------------------------- */

/* Room for "; server_max_window_bits=15" and its NUL. */
#define BITS_SIZE 32

static void write_element(const ws__deflate_params *params,
                          const char *client_bits, const char *server_bits,
                          char out_text[WS__EXTENSION_SIZE]) {
  snprintf(
      out_text, WS__EXTENSION_SIZE, "permessage-deflate%s%s%s%s", client_bits,
      server_bits,
      params->server_no_context_takeover ? "; server_no_context_takeover" : "",
      params->client_no_context_takeover ? "; client_no_context_takeover" : "");
}

static void write_bits(enum param param, uint8_t bits, char out[BITS_SIZE]) {
  snprintf(out, BITS_SIZE, "; %s=%u", param_names[param], (unsigned)bits);
}

/* -- Client ---------------------------------------------------------------- */

void ws__extension_write_offer(const ws__deflate_offer *offer,
                               char out_text[WS__EXTENSION_SIZE]) {
  char server_bits[BITS_SIZE] = "";
  out_text[0] = '\0';
  if (!offer->is_enabled) return;
  if (offer->params.server_max_window_bits < MAX_WINDOW_BITS) {
    write_bits(SERVER_MAX_WINDOW_BITS, offer->params.server_max_window_bits,
               server_bits);
  }
  /* Without a value: the server may choose any (RFC 7692 7.1.2.2). */
  write_element(&offer->params, "; client_max_window_bits", server_bits,
                out_text);
}

/* The smaller of a window size the peer named, 0 for none, and our bound. */
static uint8_t bounded(uint8_t named, uint8_t bound) {
  return named != 0 && named < bound ? named : bound;
}

/* In an answer client_max_window_bits needs its value, and
 * server_max_window_bits says "the same or smaller value" than the offer (RFC
 * 7692 7.1.2). */
static bool is_legal_answer(const element *e, const ws__deflate_params *ours) {
  if (e->has[CLIENT_MAX_WINDOW_BITS] && e->bits[CLIENT_MAX_WINDOW_BITS] == 0) {
    return false;
  }
  return e->is_legal &&
         e->bits[SERVER_MAX_WINDOW_BITS] <= ours->server_max_window_bits;
}

/* What an answer means. A server that leaves out server_max_window_bits or
 * server_no_context_takeover although we asked has not bound itself: its window
 * is the largest, and kept. That costs us memory and nothing else, there are
 * such servers, and it is not among the reasons to fail of RFC 7692 7.1. */
static ws__deflate_params answered(const element *e,
                                   const ws__deflate_params *ours) {
  return (ws__deflate_params){
      .server_max_window_bits =
          bounded(e->bits[SERVER_MAX_WINDOW_BITS], MAX_WINDOW_BITS),
      .client_max_window_bits = bounded(e->bits[CLIENT_MAX_WINDOW_BITS],
                                        ours->client_max_window_bits),
      .server_no_context_takeover = e->has[SERVER_NO_CONTEXT_TAKEOVER],
      .client_no_context_takeover = e->has[CLIENT_NO_CONTEXT_TAKEOVER] ||
                                    ours->client_no_context_takeover,
  };
}

int ws__extension_check(const ws__http_head *head,
                        const ws__deflate_offer *offer, bool *has_deflate,
                        ws__deflate_params *params, const char **reason) {
  scanner s = {.head = head};
  element e;
  bool has_element;
  int err;
  *has_deflate = false;
  while ((err = next_element(&s, &e, &has_element, reason)) == 0 &&
         has_element) {
    if (!e.is_deflate || !offer->is_enabled) {
      return ws__fail(WS_ERR_UNEXPECTED_EXTENSION,
                      "the server chose an extension that was not offered",
                      reason);
    }
    if (*has_deflate) {
      return ws__fail(WS_ERR_UNEXPECTED_EXTENSION,
                      "the server chose permessage-deflate twice", reason);
    }
    if (!is_legal_answer(&e, &offer->params)) {
      return ws__fail(WS_ERR_INVALID_EXTENSION_PARAMETER,
                      "illegal parameter of permessage-deflate", reason);
    }
    *has_deflate = true;
    *params = answered(&e, &offer->params);
  }
  return err;
}

/* -- Server ---------------------------------------------------------------- */

/* Meets a legal offer. A client that does not name client_max_window_bits does
 * not know it and cannot be bound (RFC 7692 7.1.2.2). */
static void accept_offer(const element *e, const ws__deflate_params *ours,
                         ws__deflate_params *params,
                         char out_answer[WS__EXTENSION_SIZE]) {
  char server_bits[BITS_SIZE] = "", client_bits[BITS_SIZE] = "";
  *params = (ws__deflate_params){
      .server_max_window_bits = bounded(e->bits[SERVER_MAX_WINDOW_BITS],
                                        ours->server_max_window_bits),
      .client_max_window_bits = e->has[CLIENT_MAX_WINDOW_BITS]
                                    ? bounded(e->bits[CLIENT_MAX_WINDOW_BITS],
                                              ours->client_max_window_bits)
                                    : MAX_WINDOW_BITS,
      .server_no_context_takeover = e->has[SERVER_NO_CONTEXT_TAKEOVER] ||
                                    ours->server_no_context_takeover,
      .client_no_context_takeover = e->has[CLIENT_NO_CONTEXT_TAKEOVER] ||
                                    ours->client_no_context_takeover,
  };
  /* An offer that has it is accepted "by including" it (RFC 7692 7.1.2.1). */
  if (e->has[SERVER_MAX_WINDOW_BITS] ||
      params->server_max_window_bits < MAX_WINDOW_BITS) {
    write_bits(SERVER_MAX_WINDOW_BITS, params->server_max_window_bits,
               server_bits);
  }
  if (params->client_max_window_bits < MAX_WINDOW_BITS) {
    write_bits(CLIENT_MAX_WINDOW_BITS, params->client_max_window_bits,
               client_bits);
  }
  write_element(params, client_bits, server_bits, out_answer);
}

int ws__extension_choose(const ws__http_head *head,
                         const ws__deflate_offer *ours, bool *has_deflate,
                         ws__deflate_params *params,
                         char out_answer[WS__EXTENSION_SIZE],
                         const char **reason) {
  scanner s = {.head = head};
  element e;
  bool has_element;
  int err;
  *has_deflate = false;
  out_answer[0] = '\0';
  while ((err = next_element(&s, &e, &has_element, reason)) == 0 &&
         has_element) {
    if (!ours->is_enabled || *has_deflate) continue;
    if (!e.is_deflate || !e.is_legal) continue;
    *has_deflate = true;
    accept_offer(&e, &ours->params, params, out_answer);
  }
  return err;
}
