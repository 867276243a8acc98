/* compression.c - permessage-deflate through a connection, beside zlib alone at
 * the same settings, and what the levels are worth.
 *
 * Context takeover makes every message depend on those before it. Compressing
 * goes round and round a set of texts; expanding goes round the frames that the
 * set's first round made, which refer to nothing before it. */
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "material.h"
#include "measure.h"
#include "report.h"
#include "sections.h"

#define KIB ((size_t)1024)

/* Texts in a set: with 1 KiB, several windows full. */
#define TEXT_COUNT 64

#define HEAD_MAX 14

/* What ends a sync flush and does not travel (RFC 7692 section 7.2.1). */
#define TAIL      "\x00\x00\xff\xff"
#define TAIL_SIZE 4

typedef struct settings {
  int level;
  int window_bits;
  int memory;
} settings;

typedef struct bytes {
  uint8_t *data;
  size_t len;
} bytes;

typedef struct compressing {
  settings settings;
  size_t len;
  char *texts[TEXT_COUNT];
  bytes frames[TEXT_COUNT]; /* From the server. */
  bytes blocks[TEXT_COUNT]; /* From zlib, each with its tail. */
  pair conns;               /* The server sends, the client receives. */
  z_stream deflater;
  z_stream inflater;
  uint8_t *room;
  size_t room_size;
  size_t next[4]; /* Of each contender. */
} compressing;

/* -- The contenders -------------------------------------------------------- */

static size_t take_next(size_t *next) {
  const size_t text = *next;
  *next = (text + 1) % TEXT_COUNT;
  return text;
}

/* Sends text `i`; copies what goes out to `out` if it is not NULL. */
static size_t send_text(const compressing *c, size_t i, uint8_t *out) {
  ws_conn *conn = c->conns.server;
  must(ws_conn_send(conn, WS_TEXT, c->texts[i], c->len, 0) == 0, "it is sent");
  size_t len = 0;
  ws_slice slice;
  while (ws_conn_output(conn, &slice, 1) > 0) {
    if (out != NULL) memcpy(out + len, slice.data, slice.len);
    len += slice.len;
    ws_conn_consume(conn, slice.len);
  }
  return len;
}

static void compress_conn(void *ctx, size_t times) {
  compressing *c = ctx;
  for (size_t i = 0; i < times; i++)
    (void)send_text(c, take_next(&c->next[0]), NULL);
}

/* Compresses text `i` to `room`. Returns the length, with the tail. */
static size_t deflate_text(compressing *c, size_t i) {
  z_stream *z = &c->deflater;
  z->next_in = (const Bytef *)c->texts[i];
  z->avail_in = (uInt)c->len;
  z->next_out = c->room;
  z->avail_out = (uInt)c->room_size;
  must(deflate(z, Z_SYNC_FLUSH) == Z_OK && z->avail_out > 0, "zlib compresses");
  return c->room_size - z->avail_out;
}

static void compress_zlib(void *ctx, size_t times) {
  compressing *c = ctx;
  for (size_t i = 0; i < times; i++)
    (void)deflate_text(c, take_next(&c->next[1]));
}

static void expand_conn(void *ctx, size_t times) {
  compressing *c = ctx;
  ws_conn_event event;
  size_t len = 0;
  for (size_t i = 0; i < times; i++) {
    const bytes *frame = &c->frames[take_next(&c->next[2])];
    (void)ws_conn_feed(c->conns.client, frame->data, frame->len);
    while (ws_conn_next_event(c->conns.client, &event)) {
      if (event.type == WS_EVENT_MESSAGE) len += event.u.message.len;
    }
  }
  must(len == times * c->len, "all messages come");
}

static void expand_zlib(void *ctx, size_t times) {
  compressing *c = ctx;
  z_stream *z = &c->inflater;
  for (size_t i = 0; i < times; i++) {
    const bytes *block = &c->blocks[take_next(&c->next[3])];
    z->next_in = block->data;
    z->avail_in = (uInt)block->len;
    z->next_out = c->room;
    z->avail_out = (uInt)c->room_size;
    must(inflate(z, Z_SYNC_FLUSH) == Z_OK &&
             c->room_size - z->avail_out == c->len,
         "zlib expands");
  }
}

/* -- Cases ----------------------------------------------------------------- */

static pair open_with(const settings *s) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression = WS_COMPRESSION_ON;
  options.compression_threshold = 1;
  options.compression_level = (uint8_t)s->level;
  options.compression_memory = (uint8_t)s->memory;
  options.server_max_window_bits = (uint8_t)s->window_bits;
  options.client_max_window_bits = (uint8_t)s->window_bits;
  return open_pair(&options);
}

static void open_zlib(compressing *c) {
  const settings *s = &c->settings;
  must(deflateInit2(&c->deflater, s->level, Z_DEFLATED, -s->window_bits,
                    s->memory, Z_DEFAULT_STRATEGY) == Z_OK &&
           inflateInit2(&c->inflater, -s->window_bits) == Z_OK,
       "zlib has memory");
}

static bytes keep(const uint8_t *data, size_t len) {
  bytes kept = {.data = allocate(len), .len = len};
  memcpy(kept.data, data, len);
  return kept;
}

/* Makes the set and its first round, and leaves both streams behind it. */
static void prepare(compressing *c) {
  c->room_size = 2 * c->len + HEAD_MAX;
  c->room = allocate(c->room_size);
  c->conns = open_with(&c->settings);
  open_zlib(c);
  for (size_t i = 0; i < TEXT_COUNT; i++) {
    c->texts[i] = allocate(c->len);
    write_json((uint32_t)i, c->texts[i], c->len);
    const size_t frame_len = send_text(c, i, c->room);
    c->frames[i] = keep(c->room, frame_len);
    const size_t block_len = deflate_text(c, i);
    must(memcmp(c->room + block_len - TAIL_SIZE, TAIL, TAIL_SIZE) == 0,
         "a flush ends as the RFC says");
    c->blocks[i] = keep(c->room, block_len);
  }
}

static void release(compressing *c) {
  for (size_t i = 0; i < TEXT_COUNT; i++) {
    deallocate(c->texts[i]);
    deallocate(c->frames[i].data);
    deallocate(c->blocks[i].data);
  }
  deflateEnd(&c->deflater);
  inflateEnd(&c->inflater);
  close_pair(&c->conns);
  deallocate(c->room);
}

/* How many times smaller the set is on the wire. */
static double ratio_of(const compressing *c) {
  size_t wire = 0;
  for (size_t i = 0; i < TEXT_COUNT; i++)
    wire += c->frames[i].len;
  return (double)(TEXT_COUNT * c->len) / (double)wire;
}

static uint64_t memory_of(ws_conn *conn) {
  ws_conn_stats stats;
  ws_conn_get_stats(conn, &stats);
  return stats.bytes_held;
}

static void compression_case(const settings *s, size_t len) {
  compressing c = {.settings = *s, .len = len};
  prepare(&c);
  contender group[] = {
      {.run = compress_conn, .ctx = &c},
      {.run = compress_zlib, .ctx = &c},
      {.run = expand_conn, .ctx = &c},
      {.run = expand_zlib, .ctx = &c},
  };
  measure(group, 4);
  const double us = 1e-3; /* One nanosecond. */
  const double mb = 1e3;  /* One byte in a nanosecond, in MB in a second. */
  const double values[] = {
      ratio_of(&c),
      group[0].ns * us,
      group[1].ns * us,
      (double)len / group[0].ns * mb,
      group[2].ns * us,
      group[3].ns * us,
      (double)len / group[2].ns * mb,
      (double)memory_of(c.conns.server) / KIB,
  };
  report_row(values, "%s, window %d, memory %d, level %d", size_name(len),
             s->window_bits, s->memory, s->level);
  release(&c);
}

void bench_compression(void) {
  static const report_column columns[] = {
      {"ratio", 2},     {"compress us", 1}, {"zlib us", 1}, {"MB/s", 0},
      {"expand us", 1}, {"zlib us", 1},     {"MB/s", 0},    {"sender KiB", 0},
  };
  static const int levels[] = {1, 2, 3, 6};
  static const size_t sizes[] = {KIB, 16 * KIB};
  report_table("Compression of JSON with context takeover", columns,
               sizeof(columns) / sizeof(columns[0]));
  for (size_t size = 0; size < 2; size++) {
    for (size_t level = 0; level < 4; level++) {
      const settings ours = {levels[level], 12, 5};
      compression_case(&ours, sizes[size]);
    }
    for (size_t level = 0; level < 4; level++) {
      const settings zlibs = {levels[level], 15, 8};
      compression_case(&zlibs, sizes[size]);
    }
  }
}
