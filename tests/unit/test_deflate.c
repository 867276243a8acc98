/* test_deflate.c - permessage-deflate's streams, against the examples of RFC
 * 7692, against plain zlib as the other side, and against themselves.
 *
 * With the argument "huge" only the test of a source over 4 GiB runs, which
 * takes about a minute. */
#define _DEFAULT_SOURCE
#include "proto/deflate.h"
#include "test.h"
#include "test_alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <zlib.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static test_alloc memory;

static int set_up(void **state) {
  (void)state;
  test_alloc_init(&memory);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  return memory.held == 0 ? 0 : -1;
}

/* -- Helpers --------------------------------------------------------------- */

static ws__deflate *new_end(const ws__deflate_params *params, bool is_server,
                            int level, int mem_level) {
  ws__deflate *d;
  assert_int_equal(ws__deflate_new(&memory.allocator, params, is_server, level,
                                   mem_level, &d),
                   0);
  return d;
}

/* An end whose two windows are alike. */
static ws__deflate *new_plain(int window_bits, bool no_context_takeover) {
  const ws__deflate_params params = {
      .server_max_window_bits = (uint8_t)window_bits,
      .client_max_window_bits = (uint8_t)window_bits,
      .server_no_context_takeover = no_context_takeover,
      .client_no_context_takeover = no_context_takeover,
  };
  return new_end(&params, true, 6, 8);
}

static void free_buf(ws__buf *buf) {
  ws__buf_free(buf, &memory.allocator);
}

/* Compresses one message given whole; `out` is emptied first. */
static void deflate_whole(ws__deflate *d, const void *data, size_t len,
                          ws__buf *out) {
  out->len = 0;
  assert_int_equal(ws__deflate_compress(d, data, len, true, out), 0);
}

/* Expands one part, `out_cap` bytes at a time, and appends to `out`. Returns
 * what ws__deflate_expand returned last. */
static int expand_part(ws__deflate *d, const void *bytes, size_t len,
                       bool is_last, size_t out_cap, ws__buf *out) {
  /* Exactly as large as it says, so that a sanitizer sees any overrun. */
  uint8_t *input = malloc(len > 0 ? len : 1);
  uint8_t *room = malloc(out_cap);
  if (len > 0) memcpy(input, bytes, len);
  const uint8_t *rest = input;
  size_t rest_len = len;
  size_t got;
  bool done;
  int err;
  do {
    err = ws__deflate_expand(d, &rest, &rest_len, is_last, room, out_cap, &got,
                             &done);
    assert_true(rest == input + (len - rest_len));
    assert_true(got <= out_cap);
    if (err != 0) break;
    assert_int_equal(ws__buf_append(out, &memory.allocator, room, got), 0);
    if (done) assert_int_equal(rest_len, 0);
    else assert_int_equal(got, out_cap);
  } while (!done);
  free(input);
  free(room);
  return err;
}

/* Expands one message given whole; `out` is emptied first. */
static int inflate_whole(ws__deflate *d, const void *bytes, size_t len,
                         ws__buf *out) {
  out->len = 0;
  return expand_part(d, bytes, len, true, 16 * KIB, out);
}

static void assert_buf(const ws__buf *buf, const void *data, size_t len) {
  assert_int_equal(buf->len, len);
  if (len > 0) assert_memory_equal(buf->data, data, len);
}

static void assert_expands(ws__deflate *d, const void *bytes, size_t len,
                           const char *text) {
  ws__buf out = {0};
  assert_int_equal(inflate_whole(d, bytes, len, &out), 0);
  assert_buf(&out, text, strlen(text));
  free_buf(&out);
}

static void assert_refused(ws__deflate *d, const void *bytes, size_t len) {
  ws__buf out = {0};
  assert_int_equal(inflate_whole(d, bytes, len, &out), WS_ERR_INVALID_DEFLATE);
  free_buf(&out);
}

#define BYTES(...) \
  (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* -- Data ------------------------------------------------------------------ */

typedef enum kind {
  TEXT,
  NOISE,
  ZEROS,
  KINDS
} kind;

/* A fixed sequence of numbers. */
static uint32_t next_number(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* Returns `len` bytes of a kind, to be freed. */
static uint8_t *make_data(kind k, size_t len, uint32_t seed) {
  static const char *const words[] = {"{\"id\": ",  "\"price\": ", "null, ",
                                      "\"name\": ", "true, ",      "}, "};
  uint8_t *data = calloc(1, len + 16);
  size_t i = 0;
  while (k != ZEROS && i < len) {
    const uint32_t number = next_number(&seed);
    if (k == NOISE) {
      data[i++] = (uint8_t)number;
    } else {
      i += (size_t)snprintf((char *)data + i, 16, "%s%u", words[number % 6],
                            number % 1000);
    }
  }
  return data;
}

/* -- Plain zlib as the other side ------------------------------------------ */

/* Inflates a message as section 7.2.2 says. Gives out one byte at a time, for
 * then zlib has no more than the window at hand and refuses any distance beyond
 * it. Returns whether it was valid and gave exactly `data`. */
static bool zlib_gives(z_stream *z, const ws__buf *message, const uint8_t *data,
                       size_t len) {
  const size_t bytes_len = message->len + 4;
  uint8_t *bytes = malloc(bytes_len);
  memcpy(bytes, message->data, message->len);
  memcpy(bytes + message->len, "\x00\x00\xff\xff", 4);
  z->next_in = bytes;
  z->avail_in = (uInt)bytes_len;
  size_t got = 0;
  int err;
  do {
    uint8_t byte;
    z->next_out = &byte;
    z->avail_out = 1;
    err = inflate(z, Z_SYNC_FLUSH);
    if (z->avail_out == 1) break;
    if (got == len || data[got] != byte) {
      err = Z_DATA_ERROR;
      break;
    }
    got++;
  } while (err == Z_OK);
  free(bytes);
  return (err == Z_OK || err == Z_BUF_ERROR) && got == len && z->avail_in == 0;
}

/* Compresses a message as plainly as can be; finished by a final block or by
 * the flush that section 7.2.1 has in mind. */
static void zlib_compress(z_stream *z, const uint8_t *data, size_t len,
                          bool is_final, ws__buf *out) {
  out->len = 0;
  assert_int_equal(
      ws__buf_reserve(out, &memory.allocator, deflateBound(z, len) + 16), 0);
  z->next_in = (uint8_t *)(uintptr_t)data;
  z->avail_in = (uInt)len;
  z->next_out = out->data;
  z->avail_out = (uInt)out->cap;
  deflate(z, is_final ? Z_FINISH : Z_SYNC_FLUSH);
  out->len = out->cap - z->avail_out;
  if (is_final) out->data[out->len++] = 0x00;
  else out->len -= 4;
}

/* -- RFC 7692 section 7.2.3 ------------------------------------------------ */

static void rfc_one_block_both_ways(void **state) {
  (void)state;
  ws__deflate *d = new_plain(15, false);
  ws__buf out = {0};
  deflate_whole(d, "Hello", 5, &out);
  assert_buf(&out, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00));
  assert_expands(d, out.data, out.len, "Hello");
  free_buf(&out);
  ws__deflate_free(d);
}

static void rfc_one_block_in_two_fragments(void **state) {
  (void)state;
  ws__deflate *d = new_plain(15, false);
  ws__buf out = {0};
  assert_int_equal(expand_part(d, BYTES(0xf2, 0x48, 0xcd), false, 100, &out),
                   0);
  assert_int_equal(
      expand_part(d, BYTES(0xc9, 0xc9, 0x07, 0x00), true, 100, &out), 0);
  assert_buf(&out, "Hello", 5);
  free_buf(&out);
  ws__deflate_free(d);
}

static void rfc_sharing_the_window_both_ways(void **state) {
  (void)state;
  ws__deflate *d = new_plain(15, false);
  ws__buf out = {0};
  deflate_whole(d, "Hello", 5, &out);
  assert_expands(d, out.data, out.len, "Hello");
  deflate_whole(d, "Hello", 5, &out);
  assert_buf(&out, BYTES(0xf2, 0x00, 0x11, 0x00, 0x00));
  assert_expands(d, out.data, out.len, "Hello");
  free_buf(&out);
  ws__deflate_free(d);
}

static void rfc_block_with_no_compression(void **state) {
  (void)state;
  ws__deflate *d = new_plain(15, false);
  assert_expands(
      d,
      BYTES(0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00),
      "Hello");
  ws__deflate_free(d);
}

static void rfc_final_block(void **state) {
  (void)state;
  ws__deflate *d = new_plain(15, false);
  assert_expands(d, BYTES(0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00),
                 "Hello");
  /* The window lives on: the message of section 7.2.3.2. */
  assert_expands(d, BYTES(0xf2, 0x00, 0x11, 0x00, 0x00), "Hello");
  ws__deflate_free(d);
}

static void rfc_two_blocks(void **state) {
  (void)state;
  ws__deflate *d = new_plain(15, false);
  assert_expands(d,
                 BYTES(0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca,
                       0xc9, 0xc9, 0x07, 0x00),
                 "Hello");
  ws__deflate_free(d);
}

static void rfc_empty_message_is_one_zero_octet(void **state) {
  (void)state;
  for (int no_takeover = 0; no_takeover < 2; no_takeover++) {
    ws__deflate *d = new_plain(15, no_takeover);
    ws__buf out = {0};
    for (int i = 0; i < 3; i++) {
      deflate_whole(d, NULL, 0, &out);
      assert_buf(&out, BYTES(0x00));
      assert_expands(d, out.data, out.len, "");
    }
    deflate_whole(d, "Hello", 5, &out);
    assert_expands(d, out.data, out.len, "Hello");
    deflate_whole(d, "", 0, &out);
    assert_buf(&out, BYTES(0x00));
    assert_expands(d, out.data, out.len, "");
    free_buf(&out);
    ws__deflate_free(d);
  }
}

/* -- Round trips
 * --------------------------------------------------------------- */

static const size_t sizes[] = {0, 1, 125, 1023, 64 * KIB, MIB};
#define SMALL_SIZES 4
#define ALL_SIZES   6

/* Sends messages of every kind from one end to the other and, where `zlib` is
 * not NULL, to plain zlib. */
static void send_messages(ws__deflate *from, ws__deflate *to, z_stream *zlib,
                          bool no_takeover, size_t size_count) {
  ws__buf wire = {0}, back = {0};
  for (size_t s = 0; s < size_count; s++) {
    for (kind k = TEXT; k < KINDS; k++) {
      uint8_t *data = make_data(k, sizes[s], (uint32_t)s);
      deflate_whole(from, data, sizes[s], &wire);
      assert_int_equal(inflate_whole(to, wire.data, wire.len, &back), 0);
      assert_buf(&back, data, sizes[s]);
      if (zlib != NULL) {
        assert_true(zlib_gives(zlib, &wire, data, sizes[s]));
        if (no_takeover) inflateReset(zlib);
      }
      if (s % 2 == 0) {
        ws__deflate_release_idle(from);
        ws__deflate_release_idle(to);
      }
      free(data);
    }
  }
  free_buf(&wire);
  free_buf(&back);
}

static void check_params(const ws__deflate_params *params, int level,
                         int mem_level, size_t size_count) {
  ws__deflate *server = new_end(params, true, level, mem_level);
  ws__deflate *client = new_end(params, false, level, mem_level);
  z_stream from_server = {0}, from_client = {0};
  assert_int_equal(inflateInit2(&from_server, -params->server_max_window_bits),
                   Z_OK);
  assert_int_equal(inflateInit2(&from_client, -params->client_max_window_bits),
                   Z_OK);
  send_messages(server, client, &from_server,
                params->server_no_context_takeover, size_count);
  send_messages(client, server, &from_client,
                params->client_no_context_takeover, size_count);
  inflateEnd(&from_server);
  inflateEnd(&from_client);
  ws__deflate_free(server);
  ws__deflate_free(client);
}

/* Row 306, row 309, A-27, A-29: all windows and takeovers, with plain zlib as
 * the second reader. */
static void every_window_and_takeover_round_trips(void **state) {
  (void)state;
  static const int levels[] = {0, 1, 4, 6, 9};
  static const int mem_levels[] = {1, 5, 8, 9};
  for (unsigned bits = 8; bits <= 15; bits++) {
    for (unsigned flags = 0; flags < 4; flags++) {
      for (size_t l = 0; l < sizeof(levels) / sizeof(*levels); l++) {
        for (size_t m = 0; m < sizeof(mem_levels) / sizeof(*mem_levels); m++) {
          const ws__deflate_params params = {
              .server_max_window_bits = (uint8_t)bits,
              .client_max_window_bits = (uint8_t)(23 - bits),
              .server_no_context_takeover = flags & 1,
              .client_no_context_takeover = flags & 2,
          };
          check_params(&params, levels[l], mem_levels[m], SMALL_SIZES);
        }
      }
    }
  }
}

static void large_messages_round_trip_in_every_window(void **state) {
  (void)state;
  for (unsigned bits = 8; bits <= 15; bits++) {
    const ws__deflate_params params = {
        .server_max_window_bits = (uint8_t)bits,
        .client_max_window_bits = (uint8_t)(23 - bits),
        .client_no_context_takeover = bits % 2,
    };
    check_params(&params, 1, 5, bits % 4 == 0 ? ALL_SIZES : ALL_SIZES - 1);
  }
}

/* the reader of the tests above does see a distance over 256 bytes. */
static void a_window_that_is_too_wide_is_seen_by_the_tests(void **state) {
  (void)state;
  uint8_t data[600];
  uint8_t *noise = make_data(NOISE, 300, 1);
  memcpy(data, noise, 300);
  memcpy(data + 300, noise, 300);
  free(noise);
  ws__buf wire = {0};
  for (int bits = 8; bits <= 10; bits++) {
    ws__deflate *d = new_plain(bits, false);
    deflate_whole(d, data, sizeof(data), &wire);
    ws__deflate_free(d);
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, -8), Z_OK);
    assert_int_equal(zlib_gives(&z, &wire, data, sizeof(data)), bits < 10);
    inflateEnd(&z);
  }
  free_buf(&wire);
}

/* with 8 bits runs are still found. */
static void window_bits_8_still_compresses_runs(void **state) {
  (void)state;
  ws__deflate *d = new_plain(8, false);
  ws__buf wire = {0};
  uint8_t *zeros = make_data(ZEROS, 64 * KIB, 0);
  deflate_whole(d, zeros, 64 * KIB, &wire);
  assert_true(wire.len < KIB);
  free(zeros);
  free_buf(&wire);
  ws__deflate_free(d);
}

/* more than zlib is given at once, in and out. */
static void messages_longer_than_one_step_round_trip(void **state) {
  (void)state;
  const size_t len = 3 * MIB + 5;
  ws__deflate *d = new_plain(15, false);
  ws__buf wire = {0}, back = {0};
  for (kind k = TEXT; k < KINDS; k++) {
    uint8_t *data = make_data(k, len, 7);
    deflate_whole(d, data, len, &wire);
    assert_int_equal(expand_part(d, wire.data, wire.len, true, len + 1, &back),
                     0);
    assert_buf(&back, data, len);
    back.len = 0;
    free(data);
  }
  free_buf(&wire);
  free_buf(&back);
  ws__deflate_free(d);
}

/* The flush falls on every place relative to the end of the buffer. */
static void
every_fill_of_the_output_buffer_gives_a_whole_message(void **state) {
  (void)state;
  enum {
    LEN = 400,
    PREFIX_MAX = 700
  };
  uint8_t *data = make_data(NOISE, LEN, 3);
  uint8_t prefix[PREFIX_MAX];
  memset(prefix, 0x5a, sizeof(prefix));
  ws__deflate *d = new_plain(15, false);
  for (size_t before = 0; before < PREFIX_MAX; before++) {
    ws__buf out = {0}, back = {0};
    assert_int_equal(ws__buf_append(&out, &memory.allocator, prefix, before),
                     0);
    assert_int_equal(ws__deflate_compress(d, data, LEN, true, &out), 0);
    if (before > 0) assert_memory_equal(out.data, prefix, before);
    assert_int_equal(
        inflate_whole(d, out.data + before, out.len - before, &back), 0);
    assert_buf(&back, data, LEN);
    free_buf(&out);
    free_buf(&back);
  }
  free(data);
  ws__deflate_free(d);
}

/* -- Fragments
 * ------------------------------------------------------------------ */

static void each_part_lets_the_peer_read_all_of_it(void **state) {
  (void)state;
  static const size_t parts[] = {1, 0, 700, 5, 70000, 3, 0};
  enum {
    PARTS = sizeof(parts) / sizeof(*parts)
  };
  uint8_t *data = make_data(TEXT, 70000, 9);
  ws__deflate *d = new_plain(12, true);
  ws__buf wire = {0}, back = {0};
  for (int message = 0; message < 2; message++) {
    for (size_t i = 0; i < PARTS; i++) {
      const bool is_last = i == PARTS - 1;
      wire.len = 0;
      back.len = 0;
      assert_int_equal(ws__deflate_compress(d, data, parts[i], is_last, &wire),
                       0);
      if (parts[i] == 0 && !is_last) assert_int_equal(wire.len, 0);
      else assert_true(wire.len > 0);
      assert_int_equal(
          expand_part(d, wire.data, wire.len, is_last, 4 * KIB, &back), 0);
      assert_buf(&back, data, parts[i]);
    }
    /* The last part was empty: section 7.2.3.6. */
    assert_buf(&wire, BYTES(0x00));
  }
  free(data);
  free_buf(&wire);
  free_buf(&back);
  ws__deflate_free(d);
}

/* -- Cuts
 * -------------------------------------------------------------------------- */

/* How much of the message the first `cut` bytes tell. */
static size_t readable(const ws__buf *wire, size_t cut) {
  ws__deflate *d = new_plain(15, false);
  ws__buf back = {0};
  assert_int_equal(expand_part(d, wire->data, cut, false, 64 * KIB, &back), 0);
  const size_t len = back.len;
  free_buf(&back);
  ws__deflate_free(d);
  return len;
}

/* Expands `wire`, cut at `cut`, and wants `data`, and of the first part all
 * that it tells; once more with the window that this leaves. */
static void check_cut(const ws__buf *wire, size_t cut, size_t out_cap,
                      const uint8_t *data, size_t len) {
  ws__deflate *d = new_plain(15, false);
  ws__buf back = {0};
  const size_t early = readable(wire, cut);
  for (int i = 0; i < 2; i++) {
    back.len = 0;
    assert_int_equal(expand_part(d, wire->data, cut, false, out_cap, &back), 0);
    assert_int_equal(back.len, early);
    assert_int_equal(
        expand_part(d, wire->data + cut, wire->len - cut, true, out_cap, &back),
        0);
    assert_buf(&back, data, len);
  }
  free_buf(&back);
  ws__deflate_free(d);
}

static void check_all_cuts(const ws__buf *wire, const uint8_t *data,
                           size_t len) {
  static const size_t some_caps[] = {1, 2, 7, 64, 4096};
  for (size_t cut = 0; cut <= wire->len; cut++) {
    for (size_t c = 0; c < sizeof(some_caps) / sizeof(*some_caps); c++) {
      check_cut(wire, cut, some_caps[c], data, len);
    }
  }
  for (size_t cap = 1; cap <= len + 1; cap++) {
    check_cut(wire, 0, cap, data, len);
    check_cut(wire, wire->len / 2, cap, data, len);
    check_cut(wire, wire->len, cap, data, len);
  }
}

static void every_cut_and_every_room_gives_the_same_message(void **state) {
  (void)state;
  ws__buf wire = {0};
  for (kind k = TEXT; k < KINDS; k++) {
    for (int is_final = 0; is_final < 2; is_final++) {
      uint8_t *data = make_data(k, 500, 4);
      z_stream z = {0};
      assert_int_equal(
          deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
      zlib_compress(&z, data, 500, is_final, &wire);
      deflateEnd(&z);
      check_all_cuts(&wire, data, 500);
      free(data);
    }
  }
  free_buf(&wire);
}

/* A message made by hand and what must come of it. */
typedef struct odd {
  uint8_t bytes[24];
  size_t len;
  int err;
  const char *text;
  size_t text_len;
} odd;

static const odd odds[] = {
    /* No bytes at all. */
    {{0}, 0, 0, "", 0},
    /* A finished stream without the octet that section 7.2.3.4 adds. */
    {{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 7, 0, "Hello", 5},
    /* A flush whose tail was not removed. */
    {{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff},
     11,
     0,
     "Hello",
     5},
    /* Two finished streams, then a block that copies from them. */
    {{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf3, 0x48, 0xcd, 0xc9, 0xc9,
      0x07, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00},
     19,
     0,
     "HelloHelloHello",
     15},
    /* The block that the tail ends is a final one. */
    {{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x04}, 7, 0, "Hello", 5},
    /* The tail is the data of a block with no compression. */
    {{0x00, 0x04, 0x00, 0xfb, 0xff}, 5, 0, "\x00\x00\xff\xff", 4},
    {{0x00, 0x05, 0x00, 0xfa, 0xff, 0x61}, 6, 0, "a\x00\x00\xff\xff", 5},
    /* Half of the tail is; the other half is no block. */
    {{0x00, 0x02, 0x00, 0xfd, 0xff}, 5, WS_ERR_INVALID_DEFLATE, NULL, 0},
    /* The tail does not fill the block: what follows would. */
    {{0x00, 0x05, 0x00, 0xfa, 0xff}, 5, WS_ERR_INVALID_DEFLATE, NULL, 0},
    {{0x00, 0xff, 0x00, 0x00, 0xff}, 5, WS_ERR_INVALID_DEFLATE, NULL, 0},
    /* The first octet of the tail ends a copy and the block; the rest begins
     * another. */
    {{0x4a, 0x9c, 0x30, 0x01, 0x08}, 5, WS_ERR_INVALID_DEFLATE, NULL, 0},
    /* A block ends two bits before the message does. They begin the header of
     * the block that is missing. */
    {{0x9a, 0x30, 0x61, 0xc2, 0x04, 0x00}, 6, WS_ERR_INVALID_DEFLATE, NULL, 0},
    {{0x9a, 0x30, 0x61, 0xc2, 0x04, 0x00, 0x00}, 7, 0, "\x90\x90\x90\x90", 4},
    /* A block of the reserved type. */
    {{0x06}, 1, WS_ERR_INVALID_DEFLATE, NULL, 0},
    {{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06},
     8,
     WS_ERR_INVALID_DEFLATE,
     NULL,
     0},
    /* Lengths that do not match. */
    {{0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00},
     11,
     WS_ERR_INVALID_DEFLATE,
     NULL,
     0},
    /* A copy of what never was. */
    {{0xf2, 0x00, 0x11, 0x00, 0x00}, 5, WS_ERR_INVALID_DEFLATE, NULL, 0},
};

static void check_odd(const odd *o, size_t cut, size_t out_cap) {
  ws__deflate *d = new_plain(15, false);
  ws__buf out = {0};
  int err = expand_part(d, o->bytes, cut, false, out_cap, &out);
  if (err == 0) {
    err = expand_part(d, o->bytes + cut, o->len - cut, true, out_cap, &out);
  }
  assert_int_equal(err, o->err);
  if (err == 0) {
    assert_buf(&out, o->text, o->text_len);
    /* The next message is its own. */
    assert_expands(d, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), "Hello");
  }
  free_buf(&out);
  ws__deflate_free(d);
}

/* one message in is one message out, or an error, however it comes. */
static void odd_messages_mean_the_same_however_they_are_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(odds) / sizeof(*odds); i++) {
    for (size_t cut = 0; cut <= odds[i].len; cut++) {
      for (size_t cap = 1; cap <= 20; cap++)
        check_odd(&odds[i], cut, cap);
    }
  }
}

/* */
static void a_message_that_breaks_off_is_refused(void **state) {
  (void)state;
  uint8_t *data = make_data(TEXT, 300, 2);
  ws__buf wire = {0};
  ws__deflate *d = new_plain(15, false);
  deflate_whole(d, data, 300, &wire);
  ws__deflate_free(d);
  for (size_t len = 1; len < wire.len; len++) {
    d = new_plain(15, false);
    assert_refused(d, wire.data, len);
    ws__deflate_free(d);
  }
  free(data);
  free_buf(&wire);
}

/* RFC 7692 7.1.1.1: nothing of the last message may be needed, so nothing may
 * be used, whether or not the memory was given back in between. */
static void without_takeover_a_message_cannot_use_the_one_before(void **state) {
  (void)state;
  for (int release = 0; release < 2; release++) {
    ws__deflate *d = new_plain(15, true);
    assert_expands(d, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), "Hello");
    if (release) ws__deflate_release_idle(d);
    assert_refused(d, BYTES(0xf2, 0x00, 0x11, 0x00, 0x00));
    ws__deflate_free(d);

    d = new_plain(15, true);
    ws__buf wire = {0};
    for (int i = 0; i < 2; i++) {
      deflate_whole(d, "Hello", 5, &wire);
      assert_buf(&wire, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00));
      if (release) ws__deflate_release_idle(d);
    }
    free_buf(&wire);
    ws__deflate_free(d);
  }
}

static void each_direction_has_the_params_of_its_sender(void **state) {
  (void)state;
  const ws__deflate_params params = {
      .server_max_window_bits = 15,
      .client_max_window_bits = 9,
      .client_no_context_takeover = true,
  };
  ws__deflate *server = new_end(&params, true, 6, 8);
  ws__deflate *client = new_end(&params, false, 6, 8);
  ws__buf from_server = {0}, from_client = {0};
  for (int i = 0; i < 2; i++) {
    deflate_whole(server, "Hello", 5, &from_server);
    deflate_whole(client, "Hello", 5, &from_client);
    assert_expands(client, from_server.data, from_server.len, "Hello");
    assert_expands(server, from_client.data, from_client.len, "Hello");
  }
  assert_int_equal(from_server.len, 5);
  assert_int_equal(from_client.len, 7);
  free_buf(&from_server);
  free_buf(&from_client);
  ws__deflate_free(server);
  ws__deflate_free(client);
}

/* -- Bombs
 * ------------------------------------------------------------------------- */

/* A-19, row 313: nothing is expanded but what is asked for. */
static void a_bomb_is_expanded_only_as_far_as_there_is_room(void **state) {
  (void)state;
  const size_t len = 64 * MIB;
  uint8_t *zeros = calloc(1, len);
  ws__deflate *d = new_plain(15, false);
  ws__buf wire = {0};
  deflate_whole(d, zeros, len, &wire);
  free(zeros);
  assert_true(wire.len < len / 900);
  ws__deflate_free(d);

  d = new_plain(15, false);
  memory.peak = memory.held;
  const size_t before = memory.held;
  static uint8_t room[16 * KIB];
  const uint8_t *rest = wire.data;
  size_t rest_len = wire.len, total = 0, got;
  bool done = false;
  while (!done) {
    assert_int_equal(ws__deflate_expand(d, &rest, &rest_len, true, room,
                                        sizeof(room), &got, &done),
                     0);
    total += got;
    /* No faster than the output: 1,032 to 1, and what a step reads ahead. */
    assert_true(wire.len - rest_len <= total / 900 + 64);
  }
  assert_int_equal(total, len);
  assert_true(memory.peak - before <= 48 * KIB);
  free_buf(&wire);
  ws__deflate_free(d);
}

/* */
static void a_mebibyte_of_empty_blocks_is_one_empty_message(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t len;
  } fillers[] = {
      {"\x00\x00\x00\xff\xff", 5}, /* No compression. */
      {"\x01\x00\x00\xff\xff", 5}, /* The same, final. */
      {"\x02\x08\x20\x80\x00", 5}, /* Four with fixed codes. */
      {"\x03\x00", 2},             /* Fixed codes, final. */
      /* Two whose tables have to be built. */
      {"\x04\xc0\x81\x08\x00\x00\x00\x00\x20\x7f\xeb\x43\x00\x1c\x88\x00\x00"
       "\x00"
       "\x00\x00\xf2\xb7\x3e",
       23},
  };
  uint8_t *message = malloc(MIB);
  for (size_t i = 0; i < sizeof(fillers) / sizeof(*fillers); i++) {
    size_t len = 0;
    while (len + fillers[i].len < MIB) {
      memcpy(message + len, fillers[i].bytes, fillers[i].len);
      len += fillers[i].len;
    }
    message[len++] = 0x00;

    ws__deflate *d = new_plain(15, false);
    const uint8_t *rest = message;
    uint8_t byte;
    size_t got;
    bool done;
    assert_int_equal(
        ws__deflate_expand(d, &rest, &len, true, &byte, 1, &got, &done), 0);
    assert_true(done);
    assert_int_equal(got, 0);
    assert_expands(d, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), "Hello");
    ws__deflate_free(d);
  }
  free(message);
}

/* -- Memory
 * ------------------------------------------------------------------------- */

/* Asserts that what is said to be held is held. `wire` is the test's. */
static size_t held_by(const ws__deflate *d, const ws__buf *wire) {
  assert_int_equal(ws__deflate_held(d), memory.held - wire->cap);
  return ws__deflate_held(d);
}

static void streams_are_made_when_used_and_given_back_when_idle(void **state) {
  (void)state;
  ws__buf wire = {0};
  ws__deflate *d = new_plain(12, true);
  const size_t empty = held_by(d, &wire);
  assert_true(empty < KIB);
  ws__deflate_release_idle(d);

  assert_int_equal(
      ws__deflate_compress(d, (const uint8_t *)"He", 2, false, &wire), 0);
  const size_t with_out = held_by(d, &wire);
  assert_true(with_out > empty);
  ws__deflate_release_idle(d);
  assert_int_equal(held_by(d, &wire), with_out); /* Inside a message. */
  assert_int_equal(
      ws__deflate_compress(d, (const uint8_t *)"llo", 3, true, &wire), 0);
  assert_int_equal(held_by(d, &wire), with_out);

  ws__buf back = {0};
  assert_int_equal(expand_part(d, wire.data, 4, false, 100, &back), 0);
  free_buf(&back);
  const size_t with_both = held_by(d, &wire);
  assert_true(with_both > with_out);
  ws__deflate_release_idle(d);
  const size_t with_in = held_by(d, &wire);
  assert_int_equal(with_in, with_both - with_out + empty);
  assert_int_equal(
      expand_part(d, wire.data + 4, wire.len - 4, true, 100, &back), 0);
  free_buf(&back);
  ws__deflate_release_idle(d);
  assert_int_equal(held_by(d, &wire), empty);

  free_buf(&wire);
  ws__deflate_free(d);
}

static void streams_that_remember_are_kept(void **state) {
  (void)state;
  ws__buf wire = {0};
  ws__deflate *d = new_plain(12, false);
  for (int i = 0; i < 2; i++) {
    deflate_whole(d, "Hello", 5, &wire);
    assert_expands(d, wire.data, wire.len, "Hello");
    const size_t held = held_by(d, &wire);
    ws__deflate_release_idle(d);
    assert_int_equal(held_by(d, &wire), held);
  }
  assert_int_equal(wire.len, 5); /* It did remember. */
  free_buf(&wire);
  ws__deflate_free(d);
}

/* What the peer has seen meanwhile is not known, so nothing is referred to. */
static void a_stream_that_forgets_goes_on_without_a_window(void **state) {
  (void)state;
  uint8_t *data = make_data(NOISE, 1000, 1);
  ws__deflate *d = new_plain(15, false);
  ws__buf first = {0};
  ws__buf second = {0};
  deflate_whole(d, data, 1000, &first);
  ws__deflate_forget(d);
  deflate_whole(d, data, 1000, &second);
  assert_int_equal(second.len, first.len);
  deflate_whole(d, data, 1000, &second); /* Once is enough. */
  assert_true(second.len < 100);

  ws__deflate_forget(d);
  ws__deflate_forget(d);
  const size_t held = ws__deflate_held(d);
  ws__deflate_release_idle(d);
  assert_true(ws__deflate_held(d) < held / 10);
  deflate_whole(d, data, 1000, &second);
  assert_int_equal(second.len, first.len);

  free_buf(&first);
  free_buf(&second);
  ws__deflate_free(d);
  free(data);
}

static void freeing_nothing_is_fine(void **state) {
  (void)state;
  ws__deflate_free(NULL);
}

/* Everything that allocates. Whatever fails, fails as WS_ERR_NO_MEMORY. */
static int run_scenario(const uint8_t *data, size_t len) {
  const ws__deflate_params params = {10, 11, true, false};
  ws__deflate *d = NULL;
  ws__buf wire = {0};
  uint8_t room[512];
  int err = ws__deflate_new(&memory.allocator, &params, true, 6, 2, &d);
  for (int i = 0; err == 0 && i < 2; i++) {
    wire.len = 0;
    err = ws__deflate_compress(d, data, len / 2, false, &wire);
    if (err != 0) break;
    err = ws__deflate_compress(d, data + len / 2, len / 2, true, &wire);
    const uint8_t *rest = wire.data;
    size_t rest_len = wire.len, got;
    bool done = false;
    while (err == 0 && !done) {
      err = ws__deflate_expand(d, &rest, &rest_len, true, room, sizeof(room),
                               &got, &done);
    }
    ws__deflate_release_idle(d);
  }
  if (d != NULL) assert_int_equal(ws__deflate_held(d), memory.held - wire.cap);
  free_buf(&wire);
  ws__deflate_free(d);
  return err;
}

static void
every_failed_allocation_is_an_error_and_leaks_nothing(void **state) {
  (void)state;
  uint8_t *data = make_data(NOISE, 6000, 5);
  for (int persistent = 0; persistent < 2; persistent++) {
    for (size_t n = 0;; n++) {
      test_alloc_init(&memory);
      memory.fail_at = n;
      memory.keep_failing = persistent;
      const int err = run_scenario(data, 6000);
      assert_int_equal(memory.held, 0);
      if (memory.calls <= n) {
        assert_int_equal(err, 0);
        assert_true(n > 10);
        break;
      }
      assert_int_equal(err, WS_ERR_NO_MEMORY);
    }
  }
  free(data);
}

/* A connection survives a stream that could not be made: nothing was begun. */
static void a_stream_that_could_not_be_made_can_be_made_later(void **state) {
  (void)state;
  ws__deflate *d = new_plain(15, false);
  ws__buf wire = {0};
  for (size_t n = 0; n < 4; n++) {
    memory.calls = 0;
    memory.fail_at = n;
    assert_int_equal(
        ws__deflate_compress(d, (const uint8_t *)"Hello", 5, true, &wire),
        WS_ERR_NO_MEMORY);
    assert_int_equal(wire.len, 0);
  }
  memory.fail_at = SIZE_MAX;
  deflate_whole(d, "Hello", 5, &wire);
  assert_expands(d, wire.data, wire.len, "Hello");
  free_buf(&wire);
  ws__deflate_free(d);
}

/* -- Huge ------------------------------------------------------------------ */

/* 4 GiB and some, more than zlib's counters hold; with 32 bits half of
 * what there can be. */
static void a_source_over_4_gib_round_trips(void **state) {
  (void)state;
  const uint64_t huge = (UINT64_C(4) << 30) + 12345;
  const size_t len = huge <= SIZE_MAX ? (size_t)huge : SIZE_MAX / 2;
  /* Pages that are only read all lie on one page of zeros. */
  void *zeros = mmap(NULL, len, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(zeros != MAP_FAILED);
  ws__deflate *d = new_plain(15, false);
  ws__buf wire = {0};
  deflate_whole(d, zeros, len, &wire);
  munmap(zeros, len);

  uint8_t *room = malloc(MIB);
  const uint8_t *rest = wire.data;
  size_t rest_len = wire.len, total = 0, got;
  bool done = false;
  while (!done) {
    assert_int_equal(
        ws__deflate_expand(d, &rest, &rest_len, true, room, MIB, &got, &done),
        0);
    total += got;
    for (size_t i = 0; i < got; i++) {
      if (room[i] != 0) fail();
    }
  }
  assert_int_equal(total, len);
  free(room);
  free_buf(&wire);
  ws__deflate_free(d);
}

int main(int argc, char **argv) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(rfc_one_block_both_ways),
      CASE(rfc_one_block_in_two_fragments),
      CASE(rfc_sharing_the_window_both_ways),
      CASE(rfc_block_with_no_compression),
      CASE(rfc_final_block),
      CASE(rfc_two_blocks),
      CASE(rfc_empty_message_is_one_zero_octet),
      CASE(every_window_and_takeover_round_trips),
      CASE(large_messages_round_trip_in_every_window),
      CASE(a_window_that_is_too_wide_is_seen_by_the_tests),
      CASE(window_bits_8_still_compresses_runs),
      CASE(messages_longer_than_one_step_round_trip),
      CASE(every_fill_of_the_output_buffer_gives_a_whole_message),
      CASE(each_part_lets_the_peer_read_all_of_it),
      CASE(every_cut_and_every_room_gives_the_same_message),
      CASE(odd_messages_mean_the_same_however_they_are_cut),
      CASE(a_message_that_breaks_off_is_refused),
      CASE(without_takeover_a_message_cannot_use_the_one_before),
      CASE(each_direction_has_the_params_of_its_sender),
      CASE(a_bomb_is_expanded_only_as_far_as_there_is_room),
      CASE(a_mebibyte_of_empty_blocks_is_one_empty_message),
      CASE(streams_are_made_when_used_and_given_back_when_idle),
      CASE(streams_that_remember_are_kept),
      CASE(a_stream_that_forgets_goes_on_without_a_window),
      CASE(freeing_nothing_is_fine),
      CASE(every_failed_allocation_is_an_error_and_leaks_nothing),
      CASE(a_stream_that_could_not_be_made_can_be_made_later),
  };
  const struct CMUnitTest huge_tests[] = {
      CASE(a_source_over_4_gib_round_trips),
  };
#undef CASE
  if (argc > 1 && strcmp(argv[1], "huge") == 0) {
    return cmocka_run_group_tests(huge_tests, NULL, NULL);
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
