/* script.c - makes messages up and frames, masks and compresses them. */
#define ZLIB_CONST /* What it reads from is const. */
#include "script.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

/* RFC 6455, section 5.2. */
#define FIN           0x80
#define RSV1          0x40
#define OPCODE_TEXT   0x1
#define OPCODE_BINARY 0x2
#define MASKED        0x80
#define LENGTH_16     126
#define LENGTH_64     127
#define MAX_HEAD      10
#define KEY_LENGTH    4

/* As many frames as keep the generator's own cache warm. Those that get
 * compressed, of 1 KiB, are then still more than what deflate looks back to. */
#define FRAMES_BYTES (256 << 10)
#define MIN_FRAMES   4
#define MAX_FRAMES   64

/* The tail of a flush, which RFC 7692 section 7.2.1 has the sender remove. */
#define FLUSH_TAIL 4

/* Always the same numbers (xorshift64), so that every server gets the same. */
static uint64_t random_state = 88172645463325252;

static uint64_t random_number(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static void fill_binary(uint8_t *out, size_t size) {
  for (size_t i = 0; i < size; i++)
    out[i] = (uint8_t)random_number();
}

/* Appends what fits of `text` and returns the new length. */
static size_t append(uint8_t *out, size_t used, size_t size, const char *text) {
  size_t length = strlen(text);
  if (length > size - used) length = size - used;
  /* No string: NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
  memcpy(out + used, text, length);
  return used + length;
}

static void fill_json(uint8_t *out, size_t size) {
  static const char *const words[] = {"open",  "closed", "pending", "shipped",
                                      "north", "south",  "east",    "west"};
  size_t used = append(out, 0, size, "[");
  while (used < size) {
    char item[128];
    snprintf(
        item, sizeof(item),
        "{\"id\":%u,\"state\":\"%s\",\"region\":\"%s\",\"price\":%u.%02u},",
        (unsigned)(random_number() % 1000000), words[random_number() % 4],
        words[4 + random_number() % 4], (unsigned)(random_number() % 1000),
        (unsigned)(random_number() % 100));
    used = append(out, used, size, item);
  }
}

static void fill_multibyte(uint8_t *out, size_t size) {
  static const char *const characters[] = {
      "a", " ", "\u00e4", "\u0436", "\u20ac", "\u6f22", "\u8a9e", "\U0001f600"};
  size_t used = 0;
  while (used < size) {
    const char *character = characters[random_number() % 8];
    /* The last bytes are ASCII where no whole character fits. */
    if (strlen(character) > size - used) character = "a";
    used = append(out, used, size, character);
  }
}

static void fill(load_material material, uint8_t *out, size_t size) {
  switch (material) {
  case LOAD_BINARY: fill_binary(out, size); break;
  case LOAD_TEXT: fill_json(out, size); break;
  case LOAD_MULTIBYTE: fill_multibyte(out, size); break;
  }
}

/* Deflates as RFC 7692 has it, each message for itself. */
static size_t compress_message(const uint8_t *message, size_t size,
                               uint8_t *out, size_t capacity) {
  z_stream z = {0};
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS,
                   MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
    load_die("out of memory");
  z.next_in = message;
  z.avail_in = (uInt)size;
  z.next_out = out;
  z.avail_out = (uInt)capacity;
  if (deflate(&z, Z_SYNC_FLUSH) != Z_OK || z.avail_out == 0)
    load_die("cannot compress");
  const size_t length = capacity - z.avail_out - FLUSH_TAIL;
  deflateEnd(&z);
  return length;
}

/* Writes the head of a client's frame, without the key; returns its length. */
static size_t put_head(uint8_t *out, uint8_t first, size_t payload) {
  size_t length = 2;
  out[0] = first;
  if (payload < LENGTH_16) {
    out[1] = (uint8_t)(MASKED | payload);
    return length;
  }
  const size_t bytes = payload <= UINT16_MAX ? 2 : 8;
  out[1] = MASKED | (bytes == 2 ? LENGTH_16 : LENGTH_64);
  for (size_t i = bytes; i-- > 0;)
    out[length++] = (uint8_t)((uint64_t)payload >> (8 * i));
  return length;
}

/* Returns the length of the frame. */
static size_t put_frame(uint8_t *out, uint8_t first, const uint8_t *payload,
                        size_t length) {
  const size_t head = put_head(out, first, length);
  uint8_t *key = out + head;
  fill_binary(key, KEY_LENGTH);
  for (size_t i = 0; i < length; i++)
    key[KEY_LENGTH + i] = payload[i] ^ key[i % KEY_LENGTH];
  return head + KEY_LENGTH + length;
}

static size_t frame_count(size_t size) {
  const size_t count = FRAMES_BYTES / size;
  if (count < MIN_FRAMES) return MIN_FRAMES;
  return count < MAX_FRAMES ? count : MAX_FRAMES;
}

const load_script *script_make(const load_options *options) {
  const size_t size = options->size;
  const size_t count = frame_count(size);
  /* deflate makes what it cannot compress a little longer. */
  const size_t capacity = size + size / 1000 + 64;

  load_script *s = load_alloc(1, sizeof(*s));
  script_frame *frames = load_alloc(count, sizeof(*frames));
  uint8_t *messages = load_alloc(count, size);
  uint8_t *packed = load_alloc(1, capacity);
  uint8_t *bytes = load_alloc(count, 2 * (MAX_HEAD + KEY_LENGTH + capacity));

  s->opcode = options->material == LOAD_BINARY ? OPCODE_BINARY : OPCODE_TEXT;
  for (size_t i = 0; i < count; i++) {
    uint8_t *message = messages + i * size;
    uint8_t *frame = bytes + s->length;
    uint8_t first = FIN | s->opcode;
    const uint8_t *payload = message;
    size_t payload_length = size;
    fill(options->material, message, size);
    if (options->is_compressed) {
      first |= RSV1;
      payload = packed;
      payload_length = compress_message(message, size, packed, capacity);
    }
    frames[i].length = put_frame(frame, first, payload, payload_length);
    frames[i].echo = options->is_raw ? frame : message;
    frames[i].echo_length = options->is_raw ? frames[i].length : size;
    s->length += frames[i].length;
  }
  memcpy(bytes + s->length, bytes, s->length);

  s->bytes = bytes;
  s->frames = frames;
  s->count = count;
  s->is_raw = options->is_raw;
  s->is_compressed = options->is_compressed;
  return s;
}
