/* Answers of a proxy, to CONNECT or to SOCKS5. The first byte chooses which and
 * whether there are credentials, the rest is what the proxy says.
 *
 * Fed whole and byte by byte an answer to CONNECT has one outcome; the course
 * of SOCKS5 is that of a second reading from the RFC. Credentials leave only
 * when asked for, and once. */
#include "budget.h"
#include "proto/tunnel.h"

#include <string.h>

#define IS_SOCKS     1
#define CAN_LOG_IN   2
#define IS_ADDRESS   4
#define USER         "me"
#define PASSWORD     "secret"
#define BASIC        "bWU6c2VjcmV0"
#define HEAP_BASE    4096
#define HEAP_BY_BYTE 60

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ws__http_limits limits = {2048, 512, 20};

/* -- Feeding --------------------------------------------------------------- */

typedef struct course {
  int err;
  bool done;
  size_t used;     /* Bytes fed until the end. */
  uint16_t status; /* Of the answer to CONNECT. */
  char sent[256];
  size_t sent_len;
} course;

static void begin(ws__tunnel *tunnel, unsigned flags,
                  const ws_allocator *allocator) {
  const ws__proxy proxy = {
      .kind = flags & IS_SOCKS ? WS__PROXY_SOCKS5H : WS__PROXY_HTTPS,
      .host = "proxy",
      .user = flags & CAN_LOG_IN ? USER : NULL,
      .password = flags & CAN_LOG_IN ? PASSWORD : NULL,
  };
  const char *host = flags & IS_ADDRESS ? "2001:db8::1" : "example.com";
  const char *reason;
  require(ws__tunnel_init(tunnel, &proxy, host, 443, NULL, 0, &limits,
                          allocator, &reason) == 0,
          "begin");
}

static void drain(ws__tunnel *tunnel, course *c) {
  size_t len;
  const uint8_t *out = ws__tunnel_output(tunnel, &len);
  require(len <= sizeof(c->sent) - c->sent_len, "output is bounded");
  if (len == 0) return;
  memcpy(c->sent + c->sent_len, out, len);
  c->sent_len += len;
  ws__tunnel_consume(tunnel, len);
}

/* Feeds pieces of `step` bytes until the end. */
static course play(unsigned flags, const uint8_t *data, size_t size,
                   size_t step) {
  budget b;
  budget_begin(&b);
  ws__tunnel tunnel;
  course c = {0};
  begin(&tunnel, flags, &b.alloc.allocator);
  drain(&tunnel, &c);
  while (c.used < size && c.err == 0 && !c.done) {
    const size_t left = size - c.used;
    const size_t len = left < step ? left : step;
    const char *reason = NULL;
    c.err = ws__tunnel_feed(&tunnel, data + c.used, len, &c.done, &reason);
    require(c.err == 0 || c.err == WS_ERR_PROXY, "error");
    require(c.err == 0 || (reason != NULL && !c.done), "reason");
    c.used += len;
    if (c.err == 0) drain(&tunnel, &c);
  }
  c.status = tunnel.answer.status;
  ws__tunnel_free(&tunnel);
  budget_end(&b, size, HEAP_BASE, HEAP_BY_BYTE);
  return c;
}

static bool has_sent(const course *c, const char *text) {
  const size_t len = strlen(text);
  for (size_t i = 0; i + len <= c->sent_len; i++)
    if (memcmp(c->sent + i, text, len) == 0) return true;
  return false;
}

/* -- CONNECT --------------------------------------------------------------- */

static void check_connect(unsigned flags, const uint8_t *data, size_t size) {
  const course bytes = play(flags, data, size, 1);
  const course whole = play(flags, data, size, SIZE_MAX);
  const bool has_more = bytes.done && bytes.used < size;
  if (has_more) {
    require(whole.err == WS_ERR_PROXY, "early data is refused");
  } else {
    require(whole.err == bytes.err, "one error");
    require(whole.done == bytes.done, "one end");
  }
  require(whole.status == bytes.status, "one status");
  require(has_sent(&whole, BASIC) == ((flags & CAN_LOG_IN) != 0), "Basic");
  require(whole.sent_len == bytes.sent_len, "nothing is sent again");
  if (!bytes.done) return;
  require(bytes.used <= limits.max_head, "max_head");
  require(bytes.status / 100 == 2, "2xx");
  require(memcmp(data, "HTTP/1.", 7) == 0 && data[9] == '2', "status line");
  require(memcmp(data + bytes.used - 4, "\r\n\r\n", 4) == 0, "end of head");
}

/* -- SOCKS5 ---------------------------------------------------------------- */

typedef enum verdict {
  PENDING,
  GOOD,
  BAD
} verdict;

/* A second reading of RFC 1928 and 1929. `*out_end` is where the last byte of
 * a good course stands. */
static verdict reference(bool can_log_in, const uint8_t *data, size_t size,
                         bool *out_logs_in, size_t *out_end) {
  size_t at = 2;
  *out_logs_in = false;
  if (size >= 1 && data[0] != 5) return BAD;
  if (size < 2) return PENDING;
  if (data[1] == 2 && can_log_in) {
    *out_logs_in = true;
    if (size >= 3 && data[2] != 1) return BAD;
    if (size < 4) return PENDING;
    if (data[3] != 0) return BAD;
    at = 4;
  } else if (data[1] != 0) {
    return BAD;
  }
  const uint8_t *reply = data + at;
  const size_t len = size - at;
  if ((len > 0 && reply[0] != 5) || (len > 1 && reply[1] != 0) ||
      (len > 2 && reply[2] != 0)) {
    return BAD;
  }
  if (len < 4) return PENDING;
  size_t reply_len = 4 + 2;
  if (reply[3] == 1) reply_len += 4;
  else if (reply[3] == 4) reply_len += 16;
  else if (reply[3] != 3) return BAD;
  else if (len > 4 && reply[4] == 0) return BAD;
  else reply_len += 1 + (len > 4 ? reply[4] : 1);
  *out_end = at + reply_len;
  return len < reply_len ? PENDING : GOOD;
}

static void check_socks(unsigned flags, const uint8_t *data, size_t size) {
  bool logs_in;
  size_t end = 0;
  const verdict expected =
      reference((flags & CAN_LOG_IN) != 0, data, size, &logs_in, &end);
  const course c = play(flags, data, size, 1);
  require((c.err != 0) == (expected == BAD), "fault");
  require(c.done == (expected == GOOD), "end");
  if (c.done) require(c.used == end, "place of the end");
  require(has_sent(&c, PASSWORD) == logs_in, "password");

  const course whole = play(flags, data, size, SIZE_MAX);
  require(!whole.done, "asked nothing, answered all");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  const unsigned flags = data[0];
  if (flags & IS_SOCKS) check_socks(flags, data + 1, size - 1);
  else check_connect(flags, data + 1, size - 1);
  return 0;
}
