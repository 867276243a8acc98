/* fuzz_inflate.c - permessage-deflate's streams.
 *
 * The first four bytes choose what is done and with which parameters; the rest
 * is either two compressed messages from a peer or data for a round trip.
 * Invariants: how input and room are cut changes nothing; plain zlib says the
 * same; a round trip gives back what went in, with no distance beyond the
 * agreed window; memory keeps to its bounds. */
#include "proto/deflate.h"

#include "budget.h"

#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_LEN    4
#define OUTPUT_MAX  ((size_t)1 << 18)
#define INPUT_MAX   ((size_t)1 << 16)
#define WINDOW_BITS 15

/* What zlib needs to inflate: its state, the widest window, and our heads. */
#define INFLATE_HEAP_MAX ((size_t)48 << 10)
/* To compress, with 15 bits and level 9 of memory: 128 and 256 KiB and change.
 */
#define DEFLATE_HEAP_MAX ((size_t)448 << 10)

static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

static void check(bool holds) {
  require(holds, "the streams keep their promises");
}

/* Chooses lengths: all there is, or with `is_random` any from 1 up. */
typedef struct cutter {
  bool is_random;
  uint32_t seed;
} cutter;

static size_t cut(cutter *c, size_t len) {
  if (!c->is_random || len == 0) return len;
  c->seed = c->seed * 1664525u + 1013904223u;
  /* Mostly short, for that is where the corners are. */
  const size_t most = c->seed & 0x10000 ? len : (len < 8 ? len : 8);
  return 1 + (c->seed >> 18) % most;
}

/* What came out of a run of messages. */
typedef struct result {
  int err;
  bool is_full; /* Stopped at OUTPUT_MAX. */
  size_t len;
  size_t first_len; /* Of the first message. */
  uint8_t data[OUTPUT_MAX];
} result;

/* Expands a part and appends to `r`, until it is done, full or in error. */
static void expand_part(ws__deflate *d, const uint8_t *data, size_t len,
                        bool is_last, cutter *c, result *r) {
  bool done = false;
  while (!done) {
    r->is_full = r->len == OUTPUT_MAX;
    if (r->is_full) return;
    const size_t room = cut(c, OUTPUT_MAX - r->len);
    const size_t len_before = len;
    size_t got;
    r->err = ws__deflate_expand(d, &data, &len, is_last, r->data + r->len, room,
                                &got, &done);
    if (r->err != 0) return;
    check(len <= len_before && got <= room);
    check(done ? len == 0 : got == room);
    r->len += got;
  }
}

static void expand_message(ws__deflate *d, const uint8_t *data, size_t len,
                           cutter *c, result *r) {
  bool is_last;
  do {
    /* A copy of its own, so that a sanitizer sees any overrun. */
    const size_t part_len = cut(c, len);
    uint8_t *part = malloc(part_len > 0 ? part_len : 1);
    if (part_len > 0) memcpy(part, data, part_len);
    is_last = part_len == len;
    expand_part(d, part, part_len, is_last, c, r);
    free(part);
    data += part_len;
    len -= part_len;
  } while (!is_last && r->err == 0 && !r->is_full);
}

/* -- Messages from a peer -------------------------------------------------- */

static void expand_two(const ws__deflate_params *params, const uint8_t *data,
                       size_t len, cutter c, result *r) {
  test_alloc memory;
  test_alloc_init(&memory);
  ws__deflate *d;
  check(ws__deflate_new(&memory.allocator, params, false, 1, 5, &d) == 0);
  r->err = 0;
  r->is_full = false;
  r->len = 0;
  expand_message(d, data, len / 2, &c, r);
  r->first_len = r->len;
  if (r->err == 0 && !r->is_full) {
    if (c.is_random) ws__deflate_release_idle(d);
    expand_message(d, data + len / 2, len - len / 2, &c, r);
  }
  check(ws__deflate_held(d) == memory.held);
  check(memory.peak <= INFLATE_HEAP_MAX);
  ws__deflate_free(d);
  check(memory.held == 0);
}

static void check_same(const result *a, const result *b, bool is_full_window) {
  const size_t len = a->len < b->len ? a->len : b->len;
  check(memcmp(a->data, b->data, len) == 0);
  if (a->is_full || b->is_full) return;
  if (a->err == b->err) {
    check(a->err != 0 || a->len == b->len);
    return;
  }
  /* A distance over the window may be seen or not; see deflate.c. */
  check(!is_full_window);
  check(a->err == 0 || a->err == WS_ERR_INVALID_DEFLATE);
  check(b->err == 0 || b->err == WS_ERR_INVALID_DEFLATE);
}

/* What plain zlib makes of the first message must be the same, as far as it
 * goes: a final block stops it. */
static void check_with_zlib(const uint8_t *data, size_t len, const result *r) {
  static uint8_t room[OUTPUT_MAX];
  z_stream z = {0};
  check(inflateInit2(&z, -WINDOW_BITS) == Z_OK);
  z.next_out = room;
  z.avail_out = sizeof(room);
  z.next_in = (uint8_t *)(uintptr_t)data;
  z.avail_in = (uInt)len;
  int err = inflate(&z, Z_SYNC_FLUSH);
  if (err == Z_OK || err == Z_BUF_ERROR) {
    z.next_in = (uint8_t *)(uintptr_t)tail;
    z.avail_in = sizeof(tail);
    err = inflate(&z, Z_SYNC_FLUSH);
  }
  const size_t got = sizeof(room) - z.avail_out;
  inflateEnd(&z);
  check(memcmp(room, r->data, got < r->first_len ? got : r->first_len) == 0);
  if (r->err != 0 || r->is_full) return;
  check(err != Z_DATA_ERROR);
  check(err == Z_STREAM_END ? got <= r->first_len : got == r->first_len);
}

static void fuzz_expand(const ws__deflate_params *params, uint32_t seed,
                        const uint8_t *data, size_t len) {
  static result whole, in_pieces;
  const bool is_full_window = params->server_max_window_bits == WINDOW_BITS;
  expand_two(params, data, len, (cutter){false, 0}, &whole);
  expand_two(params, data, len, (cutter){true, seed}, &in_pieces);
  check_same(&whole, &in_pieces, is_full_window);
  if (is_full_window) check_with_zlib(data, len / 2, &whole);
}

/* -- Round trips ----------------------------------------------------------- */

/* Compresses one message, in parts. */
static void compress_message(ws__deflate *d, const uint8_t *data, size_t len,
                             cutter *c, ws__buf *out) {
  bool is_last;
  do {
    const size_t part_len = cut(c, len);
    is_last = part_len == len;
    check(ws__deflate_compress(d, data, part_len, is_last, out) == 0);
    data += part_len;
    len -= part_len;
  } while (!is_last);
}

/* Plain zlib with the agreed window, one byte at a time: then it has no more
 * than the window at hand and refuses what lies beyond. */
static void check_window(z_stream *z, const ws__buf *wire, const uint8_t *data,
                         size_t len) {
  size_t got = 0;
  for (int is_tail = 0; is_tail < 2; is_tail++) {
    z->next_in = is_tail ? (uint8_t *)(uintptr_t)tail : wire->data;
    z->avail_in = is_tail ? sizeof(tail) : (uInt)wire->len;
    do {
      uint8_t byte;
      z->next_out = &byte;
      z->avail_out = 1;
      const int err = inflate(z, Z_SYNC_FLUSH);
      check(err == Z_OK || err == Z_BUF_ERROR);
      if (z->avail_out == 1) break;
      check(got < len && data[got] == byte);
      got++;
    } while (true);
  }
  check(got == len);
}

static void fuzz_round_trip(const ws__deflate_params *params, int level,
                            int mem_level, uint32_t seed, const uint8_t *data,
                            size_t len) {
  static result back;
  test_alloc memory;
  test_alloc_init(&memory);
  ws__deflate *server, *client;
  check(ws__deflate_new(&memory.allocator, params, true, level, mem_level,
                        &server) == 0);
  check(ws__deflate_new(&memory.allocator, params, false, level, mem_level,
                        &client) == 0);
  z_stream z = {0};
  check(inflateInit2(&z, -params->server_max_window_bits) == Z_OK);
  cutter c = {true, seed};
  ws__buf wire = {0};
  /* Twice, for the second may copy from the first. */
  for (int i = 0; i < 2; i++) {
    wire.len = 0;
    compress_message(server, data, len, &c, &wire);
    check(wire.len > 0);
    check_window(&z, &wire, data, len);
    if (params->server_no_context_takeover) inflateReset(&z);
    back.len = 0;
    expand_message(client, wire.data, wire.len, &c, &back);
    check(back.err == 0 && !back.is_full && back.len == len);
    check(len == 0 || memcmp(back.data, data, len) == 0);
    ws__deflate_release_idle(server);
    ws__deflate_release_idle(client);
    check(memory.held ==
          ws__deflate_held(server) + ws__deflate_held(client) + wire.cap);
  }
  check(memory.peak <= INFLATE_HEAP_MAX + DEFLATE_HEAP_MAX + 2 * wire.cap);
  inflateEnd(&z);
  ws__buf_free(&wire, &memory.allocator);
  ws__deflate_free(server);
  ws__deflate_free(client);
  check(memory.held == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < HEAD_LEN || size > INPUT_MAX) return 0;
  const ws__deflate_params params = {
      .server_max_window_bits = (uint8_t)(8 + (data[0] & 7)),
      .client_max_window_bits = (uint8_t)(8 + (data[0] >> 3 & 7)),
      .server_no_context_takeover = data[0] & 0x40,
      .client_no_context_takeover = data[0] & 0x80,
  };
  const bool is_round_trip = data[1] & 1;
  const int level = data[2] % 10;
  const int mem_level = 1 + data[2] / 10 % 9;
  const uint32_t seed = data[3];
  data += HEAD_LEN;
  size -= HEAD_LEN;
  budget b; /* Of work; the heap is looked at more closely inside. */
  budget_begin(&b);
  if (is_round_trip) {
    fuzz_round_trip(&params, level, mem_level, seed, data, size);
  } else {
    fuzz_expand(&params, seed, data, size);
  }
  budget_end(&b, size, 0, 0);
  return 0;
}
