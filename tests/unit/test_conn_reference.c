/* test_conn_reference.c - ws_conn against the slow decoder of reference.h.
 *
 * Some thousands of traces, mostly valid, some damaged in one place, come out
 * of a generator with a fixed seed; both must report the same events, whatever
 * the pieces in which the connection gets its bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"
#include "reference.h"
#include "test.h"

#define TRACES      4000
#define MAX_TRACE   200000
#define MAX_FRAMES  12
#define MAX_MESSAGE 300

/* -- The generator --------------------------------------------------------- */

typedef struct generator {
  uint64_t seed;
  bool is_masked;
  int message_opcode; /* Of the unfinished message, or 0. */
  uint8_t pending[3]; /* The rest of a character cut by a fragment. */
  size_t pending_len;
  uint8_t *data;
  size_t len;
} generator;

/* xorshift64*, uniform enough below `limit`. */
static size_t below(generator *g, size_t limit) {
  g->seed ^= g->seed >> 12;
  g->seed ^= g->seed << 25;
  g->seed ^= g->seed >> 27;
  return (size_t)((g->seed * UINT64_C(2685821657736338717)) >> 33) % limit;
}

static bool one_in(generator *g, size_t n) {
  return below(g, n) == 0;
}

/* A length with a liking for the edges. */
static size_t pick_length(generator *g) {
  static const size_t edges[] = {
      0, 1, 125, 126, 127, MAX_MESSAGE, MAX_MESSAGE + 1};
  if (one_in(g, 200)) return 65535 + below(g, 3);
  if (one_in(g, 6)) return edges[below(g, sizeof(edges) / sizeof(edges[0]))];
  return below(g, 20);
}

static uint32_t pick_code_point(generator *g) {
  static const uint32_t edges[] = {0x7F,   0x80,   0x7FF,   0x800,    0xD7FF,
                                   0xE000, 0xFFFF, 0x10000, 0x10FFFF, 0};
  if (one_in(g, 2)) return edges[below(g, sizeof(edges) / sizeof(edges[0]))];
  return (uint32_t)below(g, 0xD800);
}

static size_t encode(uint32_t c, uint8_t out[4]) {
  if (c < 0x80) return out[0] = (uint8_t)c, 1;
  const size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = size - 1; i > 0; i--, c >>= 6) {
    out[i] = (uint8_t)(0x80 | (c & 0x3F));
  }
  out[0] = (uint8_t)(lead[size] | c);
  return size;
}

/* Fills a fragment of text; what does not fit of its last character goes to the
 * next one. A last fragment is filled up with ASCII instead. */
static void fill_text(generator *g, uint8_t *out, size_t len, bool is_final) {
  size_t at = 0;
  while (at < len && g->pending_len > 0) {
    out[at++] = g->pending[0];
    memmove(g->pending, g->pending + 1, --g->pending_len);
  }
  while (at < len) {
    uint8_t c[4];
    const size_t size = encode(pick_code_point(g), c);
    if (size <= len - at) {
      memcpy(out + at, c, size);
      at += size;
    } else if (is_final) {
      out[at++] = 'x';
    } else {
      memcpy(out + at, c, len - at);
      g->pending_len = size - (len - at);
      memcpy(g->pending, c + (len - at), g->pending_len);
      at = len;
    }
  }
}

static void add_byte(generator *g, unsigned byte) {
  g->data[g->len++] = (uint8_t)byte;
}

/* Writes the head; returns the place of the payload, still to be masked. */
static uint8_t *add_head(generator *g, unsigned first, size_t len) {
  const unsigned mask = g->is_masked ? 0x80 : 0;
  add_byte(g, first);
  const int size = len < 126 ? 0 : len < 65536 ? 2 : 8;
  add_byte(g, mask | (size == 0 ? (unsigned)len : size == 2 ? 126 : 127));
  for (int i = size - 1; i >= 0; i--) {
    add_byte(g, (unsigned)((uint64_t)len >> (8 * i) & 0xFF));
  }
  for (int i = 0; i < 4 && g->is_masked; i++) {
    add_byte(g, (unsigned)below(g, 256));
  }
  return g->data + g->len;
}

static void add_payload(generator *g, uint8_t *payload, size_t len) {
  for (size_t i = 0; i < len && g->is_masked; i++) {
    payload[i] ^= (payload - 4)[i % 4];
  }
  g->len += len;
}

static void add_control(generator *g) {
  static const unsigned opcodes[] = {9, 9, 9, 10, 10, 10, 8};
  const unsigned opcode = opcodes[below(g, sizeof(opcodes) / sizeof(int))];
  size_t len = one_in(g, 8) ? 125 : below(g, 10);
  uint8_t *payload = add_head(g, 0x80 | opcode, len);
  for (size_t i = 0; i < len; i++)
    payload[i] = (uint8_t)below(g, 128);
  if (opcode == 8 && len >= 2) {
    const size_t code = one_in(g, 4) ? below(g, 65536) : 1000 + below(g, 16);
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
  }
  add_payload(g, payload, len);
}

static void add_data(generator *g) {
  const bool is_first = g->message_opcode == 0;
  if (is_first) g->message_opcode = 1 + (int)below(g, 2);
  size_t len = pick_length(g);
  bool is_final = !one_in(g, 3);
  if (is_final && g->pending_len > len) len = g->pending_len;
  const unsigned opcode = is_first ? (unsigned)g->message_opcode : 0;
  uint8_t *payload = add_head(g, (is_final ? 0x80 : 0) | opcode, len);
  if (g->message_opcode == 1) {
    fill_text(g, payload, len, is_final);
  } else {
    for (size_t i = 0; i < len; i++)
      payload[i] = (uint8_t)below(g, 256);
  }
  add_payload(g, payload, len);
  if (is_final) g->message_opcode = 0;
}

/* Damages the trace in one place. */
static void damage(generator *g) {
  /* Heads are short and few; the first bytes deserve their share. */
  const size_t at = below(g, one_in(g, 2) ? g->len : (g->len + 7) / 8);
  switch (below(g, 5)) {
  case 0: g->data[at] ^= (uint8_t)(1u << below(g, 8)); return;
  case 1: g->data[at] = (uint8_t)below(g, 256); return;
  case 2: g->len = at; return;
  case 3:
    memmove(g->data + at, g->data + at + 1, g->len - at - 1);
    g->len--;
    return;
  case 4:
    memmove(g->data + at + 1, g->data + at, g->len - at);
    g->data[at] = (uint8_t)below(g, 256);
    g->len++;
    return;
  }
}

static void generate(generator *g) {
  g->len = 0;
  g->message_opcode = 0;
  g->pending_len = 0;
  for (size_t frames = 1 + below(g, MAX_FRAMES); frames > 0; frames--) {
    if (g->len > MAX_TRACE / 2) break;
    if (one_in(g, 4)) add_control(g);
    else add_data(g);
  }
  if (one_in(g, 3)) damage(g);
}

/* -- The comparison
 * ------------------------------------------------------------ */

static driver_mode pick_mode(generator *g) {
  return (driver_mode){
      .chunk = one_in(g, 3) ? 0 : 1 + below(g, one_in(g, 2) ? 8 : 300),
      .is_streaming = one_in(g, 3),
      .keeps_input = one_in(g, 4),
      .fills_place = one_in(g, 3),
      .is_prompt = one_in(g, 2),
      .lent_size = one_in(g, 3) ? 256 : 0,
  };
}

static void compare(generator *g, ws_role role, ws_conn_config *config) {
  generate(g);
  transcript expected = {0};
  reference_decode(g->data, g->len, role == WS_ROLE_SERVER, MAX_MESSAGE,
                   &expected);

  const driver_mode mode = pick_mode(g);
  driver d = {0};
  assert_true(driver_open(&d, role, config, &mode, NULL, NULL, 0));
  driver_feed(&d, g->data, g->len);
  driver_eof(&d);
  assert_int_equal(d.closes, 1);
  transcript actual = {0};
  reference_shorten(transcript_text(&d.log), &actual);
  assert_string_equal(transcript_text(&actual), transcript_text(&expected));

  driver_free(&d);
  transcript_free(&actual);
  transcript_free(&expected);
}

static void compare_many(ws_role role, uint64_t seed) {
  ws_conn_options options;
  driver_options_init(&options);
  options.max_message = MAX_MESSAGE;
  options.max_fragments = WS_UNLIMITED;
  options.useless_burst = UINT32_MAX;
  ws_conn_config *config = NULL;
  assert_int_equal(ws_conn_config_new(role, &options, &config, NULL), 0);
  generator g = {.seed = seed, .is_masked = role == WS_ROLE_SERVER};
  g.data = malloc(MAX_TRACE);
  assert_non_null(g.data);
  for (int i = 0; i < TRACES; i++)
    compare(&g, role, config);
  free(g.data);
  ws_conn_config_free(config);
}

static void a_client_reports_what_the_reference_does(void **state) {
  (void)state;
  compare_many(WS_ROLE_CLIENT, 1);
}

static void a_server_reports_what_the_reference_does(void **state) {
  (void)state;
  compare_many(WS_ROLE_SERVER, 2);
}

/* The reference itself, on the examples of RFC 6455 section 5.7. */
static void the_reference_decodes_the_examples_of_the_rfc(void **state) {
  (void)state;
  static const uint8_t server[] = "\x01\x03Hel\x80\x02lo\x89\x05Hello\x88\0";
  static const uint8_t client[] =
      "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x82\x01";
  transcript log = {0};
  reference_decode(server, sizeof(server) - 1, false, MAX_MESSAGE, &log);
  assert_string_equal(transcript_text(&log),
                      "event message text: 48 65 6c 6c 6f\n"
                      "event ping: 48 65 6c 6c 6f\n"
                      "event close 1005 clean:\n");
  transcript_clear(&log);
  reference_decode(client, sizeof(client) - 1, true, MAX_MESSAGE, &log);
  assert_string_equal(transcript_text(&log),
                      "event message text: 48 65 6c 6c 6f\n"
                      "event error 1002\n"
                      "event close 1006 unclean:\n");
  transcript_free(&log);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_reference_decodes_the_examples_of_the_rfc),
      cmocka_unit_test(a_client_reports_what_the_reference_does),
      cmocka_unit_test(a_server_reports_what_the_reference_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
