/* Feeds any bytes behind an opening handshake, to a client or a server. The
 * events must be those of the slow decoder written from the RFC, and the same
 * in whatever pieces the bytes come; with compression, which that decoder does
 * not know, only the second. */
#include <string.h>

#include "budget.h"
#include "driver.h"
#include "reference.h"

#define MAX_MESSAGE 4096

/* Beside messages: the connection with its handshake, and the two streams of
 * zlib with windows of 15 bits. */
#define HEAP_BASE     (400 * 1024)
#define HEAP_PER_BYTE 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how to run; the rest goes over the wire. */
enum {
  AS_SERVER = 1,
  COMPRESSED = 2,
  STREAMING = 4,
  KEEPING = 8,
  LENDING = 16,
  FILLING = 32
};

static ws_role role_of(unsigned how) {
  return (how & AS_SERVER) != 0 ? WS_ROLE_SERVER : WS_ROLE_CLIENT;
}

static ws_conn_config *make_config(unsigned how, const test_alloc *alloc) {
  ws_conn_options options;
  driver_options_init(&options);
  options.allocator = alloc->allocator;
  options.max_message = MAX_MESSAGE;
  options.max_fragments = WS_UNLIMITED;
  options.useless_burst = WS_NEVER;
  options.server_max_window_bits = options.client_max_window_bits = 15;
  options.compression =
      (how & COMPRESSED) != 0 ? WS_COMPRESSION_ON : WS_COMPRESSION_OFF;
  ws_conn_config *config;
  require(ws_conn_config_new(role_of(how), &options, &config, NULL) == 0,
          "options");
  return config;
}

/* Reports what happens when the bytes come in pieces of `chunk`. */
static void run(unsigned how, size_t chunk, const uint8_t *data, size_t size,
                transcript *log) {
  budget b;
  budget_begin(&b);
  ws_conn_config *config = make_config(how, &b.alloc);
  const driver_mode mode = {
      .chunk = chunk,
      .is_streaming = (how & STREAMING) != 0,
      .keeps_input = (how & KEEPING) != 0,
      .fills_place = (how & FILLING) != 0,
      .lent_size = (how & LENDING) != 0 ? 256 : 0,
  };
  driver d = {0};
  require(driver_open(&d, role_of(how), config, &mode,
                      (how & COMPRESSED) != 0 ? "permessage-deflate" : NULL,
                      NULL, 0),
          "the handshake succeeds");
  driver_feed(&d, data, size);
  driver_eof(&d);
  require(d.closes == 1, "one close event");
  require(d.errors <= 1, "at most one error event");
  transcript_add(log, "%s", transcript_text(&d.log));
  driver_free(&d);
  ws_conn_config_free(config);
  budget_end(&b, size, HEAP_BASE, HEAP_PER_BYTE);
}

static void require_equal(const transcript *a, const transcript *b) {
  if (strcmp(transcript_text(a), transcript_text(b)) == 0) return;
  fprintf(stderr, "-- one:\n%s-- other:\n%s", transcript_text(a),
          transcript_text(b));
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  const unsigned how = data[0];
  data++;
  size--;

  transcript whole = {0};
  transcript other = {0};
  run(how & (AS_SERVER | COMPRESSED), 0, data, size, &whole);
  run(how, 1 + how / 64, data, size, &other);
  require_equal(&whole, &other);

  if ((how & COMPRESSED) == 0) {
    transcript_clear(&other);
    reference_decode(data, size, (how & AS_SERVER) != 0, MAX_MESSAGE, &other);
    transcript shortened = {0};
    reference_shorten(transcript_text(&whole), &shortened);
    require_equal(&shortened, &other);
    transcript_free(&shortened);
  }
  transcript_free(&whole);
  transcript_free(&other);
  return 0;
}
