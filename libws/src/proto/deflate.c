/* deflate.c - permessage-deflate over zlib: one stream out, one stream in.
 *
 * A message is one run of a stream, ended by a sync flush whose last four bytes
 * never travel (RFC 7692 7.2.1). Invariant: between two messages both streams
 * stand between two DEFLATE blocks and on a byte, so no message can reach into
 * the one after it. */
#include "proto/deflate.h"

#include <assert.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

/* Most bytes handed to zlib at once. zlib counts in `uInt`, which may be
 * smaller than size_t; nothing is gained by going near its limit. */
#define STEP_MAX ((size_t)1 << 20)

/* Least room for compressed bytes. A flush that exactly fills the room is made
 * twice (zlib.h, deflate); with room to spare that is rare, and it costs five
 * bytes. */
#define OUT_ROOM_MIN 64

/* What zlib cannot compress with: see open_out(). */
#define WINDOW_BITS_SMALLEST 8

/* What inflate() sets z_stream.data_type to when it stands behind a block that
 * was not the last one and has used every bit of the last byte (zlib.h). */
#define BETWEEN_BLOCKS 128

/* What section 7.2.1 removes from the end of a message: the lengths of an empty
 * block with no compression. */
static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

/* One direction. */
typedef struct flow {
  z_stream zlib;
  uint8_t window_bits;
  bool no_context_takeover;
  bool must_forget; /* The next message must not refer to those before it. */
  bool is_open;     /* `zlib` holds memory. */
  bool in_message;  /* A message has begun and not ended. */
} flow;

struct ws__deflate {
  const ws_allocator *allocator;
  size_t held; /* This struct and the blocks that zlib has. */
  flow out;
  flow in;
  int level;
  int mem_level;
  /* Of `in`: nothing is open that the peer has to finish. */
  bool is_between_blocks;
  /* Of `in`: how much of the tail the message has got. */
  uint8_t tail_used;
};

/* -- Memory ---------------------------------------------------------------- */

/* In front of each block, because zlib frees without a size. */
typedef union block_head {
  size_t size;
  max_align_t align;
} block_head;

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt item_size) {
  ws__deflate *d = opaque;
  if (item_size != 0 && items > (SIZE_MAX - sizeof(block_head)) / item_size) {
    return Z_NULL;
  }
  const size_t size = sizeof(block_head) + (size_t)items * item_size;
  block_head *head = ws__alloc(d->allocator, size);
  if (head == NULL) return Z_NULL;
  head->size = size;
  d->held += size;
  return head + 1;
}

static void zlib_free(voidpf opaque, voidpf ptr) {
  ws__deflate *d = opaque;
  block_head *head = (block_head *)ptr - 1;
  const size_t size = head->size;
  d->held -= size;
  ws__free(d->allocator, head, size);
}

static void close_out(ws__deflate *d) {
  if (d->out.is_open) deflateEnd(&d->out.zlib);
  d->out.is_open = false;
}

static void close_in(ws__deflate *d) {
  if (d->in.is_open) inflateEnd(&d->in.zlib);
  d->in.is_open = false;
}

static flow flow_of(ws__deflate *d, uint8_t window_bits,
                    bool no_context_takeover) {
  assert(window_bits >= WINDOW_BITS_SMALLEST && window_bits <= MAX_WBITS);
  return (flow){
      .zlib = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = d},
      .window_bits = window_bits,
      .no_context_takeover = no_context_takeover,
  };
}

int ws__deflate_new(const ws_allocator *allocator,
                    const ws__deflate_params *params, bool is_server, int level,
                    int mem_level, ws__deflate **out_deflate) {
  ws__deflate *d = ws__alloc_zero(allocator, sizeof(*d));
  if (d == NULL) return WS_ERR_NO_MEMORY;
  const flow server = flow_of(d, params->server_max_window_bits,
                              params->server_no_context_takeover);
  const flow client = flow_of(d, params->client_max_window_bits,
                              params->client_no_context_takeover);
  d->allocator = allocator;
  d->held = sizeof(*d);
  d->out = is_server ? server : client;
  d->in = is_server ? client : server;
  d->level = level;
  d->mem_level = mem_level;
  *out_deflate = d;
  return 0;
}

void ws__deflate_free(ws__deflate *d) {
  if (d == NULL) return;
  close_out(d);
  close_in(d);
  ws__free(d->allocator, d, sizeof(*d));
}

/* Whether nothing has to be remembered. */
static bool is_idle(const flow *f) {
  return (f->no_context_takeover || f->must_forget) && !f->in_message;
}

void ws__deflate_release_idle(ws__deflate *d) {
  if (is_idle(&d->out)) close_out(d);
  if (is_idle(&d->in)) close_in(d);
}

void ws__deflate_forget(ws__deflate *d) {
  assert(!d->out.in_message);
  d->out.must_forget = true;
}

uint8_t ws__deflate_window_bits(const ws__deflate *d) {
  return d->out.window_bits;
}

size_t ws__deflate_held(const ws__deflate *d) {
  return d->held;
}

static size_t min_size(size_t a, size_t b) {
  return a < b ? a : b;
}

/* -- Compressing ----------------------------------------------------------- */

static int open_out(ws__deflate *d) {
  int window_bits = d->out.window_bits;
  int strategy = Z_DEFAULT_STRATEGY;
  /* zlib has no raw stream with a window of 256 bytes. Runs of one byte are
   * found at a distance of 1, which fits every window, whatever zlib's own. */
  if (window_bits == WINDOW_BITS_SMALLEST) {
    window_bits++;
    strategy = Z_RLE;
  }
  /* Negative: raw DEFLATE, without a header or a checksum. */
  const int err = deflateInit2(&d->out.zlib, d->level, Z_DEFLATED, -window_bits,
                               d->mem_level, strategy);
  assert(err == Z_OK || err == Z_MEM_ERROR);
  if (err != Z_OK) return WS_ERR_NO_MEMORY;
  d->out.is_open = true;
  return 0;
}

static int begin_out(ws__deflate *d) {
  if (d->out.in_message) return 0;
  if (!d->out.is_open) {
    const int err = open_out(d);
    if (err != 0) return err;
  } else if (is_idle(&d->out)) {
    deflateReset(&d->out.zlib);
  }
  d->out.must_forget = false;
  d->out.in_message = true;
  return 0;
}

/* Has zlib use all of its input and hand out what comes of it. */
static int deflate_all(ws__deflate *d, int flush, ws__buf *out) {
  z_stream *z = &d->out.zlib;
  do {
    const int err = ws__buf_reserve(out, d->allocator, OUT_ROOM_MIN);
    if (err != 0) return err;
    const size_t room = min_size(out->cap - out->len, STEP_MAX);
    z->next_out = out->data + out->len;
    z->avail_out = (uInt)room;
    /* Z_BUF_ERROR only says that there was nothing to do. */
    const int zerr = deflate(z, flush);
    assert(zerr == Z_OK || zerr == Z_BUF_ERROR);
    (void)zerr;
    out->len += room - z->avail_out;
  } while (z->avail_out == 0);
  assert(z->avail_in == 0);
  return 0;
}

int ws__deflate_compress(ws__deflate *d, const uint8_t *data, size_t len,
                         bool is_last, ws__buf *out) {
  int err = begin_out(d);
  if (err != 0) return err;

  const size_t before = out->len;
  do {
    const size_t step = min_size(len, STEP_MAX);
    d->out.zlib.next_in = data;
    d->out.zlib.avail_in = (uInt)step;
    len -= step;
    err = deflate_all(d, len > 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH, out);
    if (err != 0) return err;
    data = d->out.zlib.next_in;
  } while (len > 0);

  if (!is_last) return 0;
  d->out.in_message = false;
  if (out->len == before) {
    /* Nothing since the last flush, so zlib does not flush again. 7.2.3.6: "an
     * empty uncompressed DEFLATE block can be built and used for this purpose
     * as follows: 0x00". */
    return ws__buf_append(out, d->allocator, "", 1);
  }
  /* 7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail
   * end." */
  assert(out->len - before > sizeof(tail));
  out->len -= sizeof(tail);
  assert(memcmp(out->data + out->len, tail, sizeof(tail)) == 0);
  return 0;
}

/* -- Expanding ------------------------------------------------------------- */

static int begin_in(ws__deflate *d) {
  if (d->in.in_message) return 0;
  if (!d->in.is_open) {
    /* zlib checks a distance against the bytes it has at hand: the window and
     * what the call under way has written. One that is longer than was agreed
     * may pass, one that leaves the data never does. */
    const int err = inflateInit2(&d->in.zlib, -d->in.window_bits);
    assert(err == Z_OK || err == Z_MEM_ERROR);
    if (err != Z_OK) return WS_ERR_NO_MEMORY;
    d->in.is_open = true;
  } else if (d->in.no_context_takeover) {
    inflateReset(&d->in.zlib);
  }
  d->in.in_message = true;
  d->is_between_blocks = true;
  d->tail_used = 0;
  return 0;
}

/* Inflates until the input is used, the room is full or a stream has ended. */
static int inflate_some(ws__deflate *d, const uint8_t **data, size_t *len,
                        uint8_t *out, size_t out_cap, size_t *out_len) {
  z_stream *z = &d->in.zlib;
  const size_t step = min_size(*len, STEP_MAX);
  const size_t room = min_size(out_cap - *out_len, STEP_MAX);
  z->next_in = *data;
  z->avail_in = (uInt)step;
  z->next_out = out + *out_len;
  z->avail_out = (uInt)room;
  const int zerr = inflate(z, Z_SYNC_FLUSH);
  *data = z->next_in;
  *len -= step - z->avail_in;
  *out_len += room - z->avail_out;

  switch (zerr) {
  case Z_OK:
  case Z_BUF_ERROR: /* Nothing to do. */
    d->is_between_blocks = z->data_type == BETWEEN_BLOCKS;
    return 0;
  case Z_STREAM_END:
    /* 7.2.1: "An endpoint MAY use both DEFLATE blocks with the "BFINAL" bit set
     * to 0 and DEFLATE blocks with the "BFINAL" bit set to 1." The next block
     * begins on the next byte; the window goes on, which inflateReset() would
     * forget. */
    inflateResetKeep(z);
    d->is_between_blocks = true;
    return 0;
  case Z_MEM_ERROR: return WS_ERR_NO_MEMORY;
  default: return WS_ERR_INVALID_DEFLATE;
  }
}

/* Inflates until the room is full or all is drained: the input used and nothing
 * of it left inside zlib. */
static int inflate_all(ws__deflate *d, const uint8_t **data, size_t *len,
                       uint8_t *out, size_t out_cap, size_t *out_len,
                       bool *is_drained) {
  *is_drained = *len == 0 && d->is_between_blocks;
  while (!*is_drained && *out_len < out_cap) {
    const int err = inflate_some(d, data, len, out, out_cap, out_len);
    if (err != 0) return err;
    *is_drained =
        *len == 0 && (d->is_between_blocks || d->in.zlib.avail_out > 0);
  }
  return 0;
}

/* 7.2.2: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload
 * of the message." */
static int inflate_tail(ws__deflate *d, uint8_t *out, size_t out_cap,
                        size_t *out_len, bool *is_drained) {
  const uint8_t *rest = tail + d->tail_used;
  size_t rest_len = sizeof(tail) - d->tail_used;
  const int err =
      inflate_all(d, &rest, &rest_len, out, out_cap, out_len, is_drained);
  d->tail_used = (uint8_t)(sizeof(tail) - rest_len);
  return err;
}

/* Every message that follows section 7.2.1 ends inside a block with no
 * compression, which the tail ends. Some peers send less: no bytes at all for
 * an empty message, or a stream that was finished without the octet that
 * section 7.2.3.4 adds. Such a message has left nothing open, so it is whole as
 * it is; the tail would only open a block that swallows the start of the next
 * message. Anything else that is unfinished would do the same and is refused.
 */
int ws__deflate_expand(ws__deflate *d, const uint8_t **data, size_t *len,
                       bool is_last, uint8_t *out, size_t out_cap,
                       size_t *out_len, bool *done) {
  assert(out_cap > 0);
  *out_len = 0;
  *done = false;
  int err = begin_in(d);
  if (err != 0) return err;

  bool is_drained;
  err = inflate_all(d, data, len, out, out_cap, out_len, &is_drained);
  if (err != 0 || !is_drained) return err;

  if (is_last && (d->tail_used > 0 || !d->is_between_blocks)) {
    err = inflate_tail(d, out, out_cap, out_len, &is_drained);
    if (err != 0 || !is_drained) return err;
    if (!d->is_between_blocks) return WS_ERR_INVALID_DEFLATE;
  }
  if (is_last) d->in.in_message = false;
  *done = true;
  return 0;
}
