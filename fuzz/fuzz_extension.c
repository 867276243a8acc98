/* Compares the negotiation of permessage-deflate with a slow one that takes the
 * lists apart by commas, semicolons and equal signs, for both roles; and what
 * our server answers, our client understands.
 *
 * Taking apart without regard to quotes is right because a quoted value has to
 * be a token: a separator between quotes makes the list malformed either way.
 */
#include <string.h>

#include "budget.h"
#include "proto/extension.h"

#define MAX_LINES    16
#define MAX_ELEMENTS 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* -- The slow way ---------------------------------------------------------- */

typedef struct part {
  const char *at;
  size_t len;
} part;

typedef struct ref_param {
  bool is_there;
  uint8_t bits; /* 0 when it has no value. */
} ref_param;

typedef struct ref_element {
  bool is_deflate;
  bool is_legal;
  ref_param params[4];
} ref_element;

static const char *const names[4] = {
    "server_no_context_takeover", "client_no_context_takeover",
    "server_max_window_bits", "client_max_window_bits"};

typedef struct ref_list {
  bool is_malformed;
  size_t count;
  ref_element elements[MAX_ELEMENTS];
} ref_list;

static part trimmed(part p) {
  while (p.len > 0 && (*p.at == ' ' || *p.at == '\t'))
    p.at++, p.len--;
  while (p.len > 0 && (p.at[p.len - 1] == ' ' || p.at[p.len - 1] == '\t')) {
    p.len--;
  }
  return p;
}

/* Cuts off what stands before the first `separator`; false when nothing is
 * left. */
static bool cut(part *rest, char separator, part *out) {
  if (rest->at == NULL) return false;
  const char *end =
      rest->len > 0 ? memchr(rest->at, separator, rest->len) : NULL;
  *out = (part){rest->at, end != NULL ? (size_t)(end - rest->at) : rest->len};
  if (end == NULL) *rest = (part){NULL, 0};
  else *rest = (part){end + 1, rest->len - out->len - 1};
  *out = trimmed(*out);
  return true;
}

static bool is_text(part p, const char *text) {
  return p.len == strlen(text) && memcmp(p.at, text, p.len) == 0;
}

/* Unquotes into `out`, which is large enough. Returns false if the value is no
 * token, quoted or not. */
static bool unquote(part value, char *out) {
  size_t len = 0;
  if (value.len >= 2 && value.at[0] == '"') {
    if (value.at[value.len - 1] != '"') return false;
    for (size_t i = 1; i < value.len - 1; i++) {
      if (value.at[i] == '\\') i++;
      if (i == value.len - 1) return false;
      out[len++] = value.at[i];
    }
  } else {
    memcpy(out, value.at, value.len);
    len = value.len;
  }
  out[len] = '\0';
  return strlen(out) == len && ws__http_is_token(out, len);
}

static uint8_t bits_of(const char *text) {
  static const char *const sizes[] = {"8",  "9",  "10", "11",
                                      "12", "13", "14", "15"};
  for (uint8_t i = 0; i < 8; i++) {
    if (strcmp(text, sizes[i]) == 0) return (uint8_t)(8 + i);
  }
  return 0;
}

/* Returns false if it is malformed. */
static bool ref_read_param(part text, ref_element *e) {
  part rest = text, name;
  cut(&rest, '=', &name);
  if (!ws__http_is_token(name.at, name.len)) return false;
  const bool has_value = rest.at != NULL;
  char *value = calloc(1, text.len + 1);
  require(value != NULL, "the fuzzer has memory");
  const bool is_good = !has_value || unquote(trimmed(rest), value);
  const uint8_t bits = bits_of(value);
  free(value);
  if (!is_good) return false;

  for (int i = 0; i < 4; i++) {
    if (!is_text(name, names[i])) continue;
    const bool wants_none = i < 2;
    const bool wants_one = i == 2;
    if (e->params[i].is_there || (has_value && bits == 0) ||
        (has_value && wants_none) || (!has_value && wants_one)) {
      e->is_legal = false;
    }
    e->params[i] = (ref_param){true, bits};
    return true;
  }
  e->is_legal = false;
  return true;
}

static void ref_read(ref_list *list, part line) {
  part element;
  while (!list->is_malformed && cut(&line, ',', &element)) {
    ref_element *e = &list->elements[list->count++];
    part rest = element, piece;
    cut(&rest, ';', &piece);
    *e = (ref_element){.is_deflate = is_text(piece, "permessage-deflate"),
                       .is_legal = true};
    if (!ws__http_is_token(piece.at, piece.len)) list->is_malformed = true;
    while (!list->is_malformed && cut(&rest, ';', &piece)) {
      if (!ref_read_param(piece, e)) list->is_malformed = true;
    }
  }
}

/* -- Comparing ------------------------------------------------------------- */

static uint8_t smaller(uint8_t a, uint8_t b) {
  return a < b ? a : b;
}

static void check_server(const ws__http_head *head, const ref_list *list,
                         const ws__deflate_offer *ours) {
  bool has_deflate;
  ws__deflate_params params;
  char answer[WS__EXTENSION_SIZE];
  const char *reason = NULL;
  const int err =
      ws__extension_choose(head, ours, &has_deflate, &params, answer, &reason);
  require(err == (list->is_malformed ? WS_ERR_INVALID_EXTENSIONS : 0),
          "both know what is malformed");
  if (err != 0) return;

  const ref_element *e = NULL;
  for (size_t i = 0; i < list->count && e == NULL && ours->is_enabled; i++) {
    const ref_element *candidate = &list->elements[i];
    if (candidate->is_deflate && candidate->is_legal) e = candidate;
  }
  require(has_deflate == (e != NULL), "both accept an offer");
  require(has_deflate == (answer[0] != '\0'), "what is accepted is answered");
  if (e == NULL) return;

  const ref_param *p = e->params;
  const uint8_t server_bits = p[2].is_there ? p[2].bits : 15;
  const uint8_t client_bits = p[3].bits != 0 ? p[3].bits : 15;
  require(params.server_no_context_takeover ==
                  (p[0].is_there || ours->params.server_no_context_takeover) &&
              params.client_no_context_takeover ==
                  (p[1].is_there || ours->params.client_no_context_takeover),
          "both agree on takeover");
  require(params.server_max_window_bits ==
              smaller(server_bits, ours->params.server_max_window_bits),
          "both agree on the server's window");
  require(params.client_max_window_bits ==
              (p[3].is_there
                   ? smaller(client_bits, ours->params.client_max_window_bits)
                   : 15),
          "both agree on the client's window");

  /* What the answer says is what will be done. */
  ws_header header = {"Sec-WebSocket-Extensions", 24, answer, strlen(answer)};
  const ws__http_head response = {.headers = &header, .header_count = 1};
  const ws__deflate_offer any = {true, {15, 15, false, false}};
  ws__deflate_params said;
  require(ws__extension_check(&response, &any, &has_deflate, &said, &reason) ==
                  0 &&
              has_deflate,
          "our client understands the answer");
  require(said.server_max_window_bits == params.server_max_window_bits &&
              said.client_max_window_bits == params.client_max_window_bits &&
              said.server_no_context_takeover ==
                  params.server_no_context_takeover &&
              said.client_no_context_takeover ==
                  params.client_no_context_takeover,
          "the answer says what will be done");
}

static bool ref_is_good_answer(const ref_list *list,
                               const ws__deflate_offer *offer) {
  if (list->is_malformed || list->count > 1) return false;
  if (list->count == 0) return true;
  const ref_element *e = &list->elements[0];
  return e->is_deflate && e->is_legal && offer->is_enabled &&
         e->params[2].bits <= offer->params.server_max_window_bits &&
         (!e->params[3].is_there || e->params[3].bits != 0);
}

static void check_client(const ws__http_head *head, const ref_list *list,
                         const ws__deflate_offer *offer) {
  bool has_deflate;
  ws__deflate_params params;
  const char *reason = NULL;
  const int err =
      ws__extension_check(head, offer, &has_deflate, &params, &reason);
  require((err == 0) == ref_is_good_answer(list, offer),
          "both know a good answer");
  require((err != 0) == (reason != NULL), "an error has a reason");
  if (err != 0) return;
  require(has_deflate == (list->count == 1), "both see the extension");
  if (!has_deflate) return;
  const ref_param *p = list->elements[0].params;
  require(params.server_max_window_bits == (p[2].is_there ? p[2].bits : 15) &&
              params.client_max_window_bits ==
                  smaller(p[3].is_there ? p[3].bits : 15,
                          offer->params.client_max_window_bits),
          "both agree on the windows");
}

/* The first byte is our own setting, the rest the lines of the header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > MAX_ELEMENTS) return 0;
  const ws__deflate_offer ours = {
      .is_enabled = (data[0] & 1) == 0,
      .params = {.server_max_window_bits = (uint8_t)(15 - (data[0] >> 1 & 7)),
                 .client_max_window_bits = (uint8_t)(15 - (data[0] >> 4 & 7)),
                 .server_no_context_takeover = (data[0] & 0x80) != 0}};
  budget b;
  budget_begin(&b);

  ws_header headers[MAX_LINES];
  ws__http_head head = {.headers = headers};
  static ref_list list;
  list.is_malformed = false;
  list.count = 0;
  part rest = {(const char *)data + 1, size - 1}, line;
  char *copies[MAX_LINES];
  while (head.header_count < MAX_LINES && cut(&rest, '\n', &line)) {
    char *value = malloc(line.len > 0 ? line.len : 1);
    require(value != NULL, "the fuzzer has memory");
    memcpy(value, line.at, line.len);
    copies[head.header_count] = value;
    headers[head.header_count++] =
        (ws_header){"Sec-WebSocket-Extensions", 24, value, line.len};
    ref_read(&list, (part){value, line.len});
  }
  check_server(&head, &list, &ours);
  check_client(&head, &list, &ours);
  for (size_t i = 0; i < head.header_count; i++)
    free(copies[i]);
  budget_end(&b, size, 0, 0);
  return 0;
}
