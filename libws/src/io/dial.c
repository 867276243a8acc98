/* dial.c - see dial.h. */
#include "io/dial.h"

#include <assert.h>
#include <errno.h>

#define NO_FD (-1)

typedef struct attempt {
  int fd;
  size_t index; /* Of its address. */
} attempt;

struct ws__dial {
  const ws_allocator *allocator;
  attempt race[WS__DIAL_RACES]; /* The first `racing` are under way. */
  size_t racing;
  uint64_t next_at; /* When the next attempt is due, if there is one. */
  bool is_won;
  attempt winner; /* Its fd is NO_FD until there is one and when it is given. */
  int error;      /* The most telling failure, 0 for none yet; of this one: */
  size_t error_index;
  size_t begun; /* addrs[0] to addrs[begun - 1] are or were in the race. */
  size_t count;
  ws__addr addrs[]; /* In the order of the attempts. */
};

/* -- Order ----------------------------------------------------------------- */

/* Returns the place, from `from` on, of the next address that is (or is not) of
 * `family`; `count` if there is none. */
static size_t find(const ws__addr *addrs, size_t count, size_t from,
                   sa_family_t family, bool is_of_it) {
  while (from < count && (addrs[from].as.any.sa_family == family) != is_of_it)
    from++;
  return from;
}

/* "If the first address in the list is an IPv6 address, then the first IPv4
 * address from the list SHOULD be moved up in the list to be second in the
 * list", and so on in turn (RFC 8305 section 4, with a First Address Family
 * Count of 1). */
static void interleave(ws__addr *out, const ws__addr *addrs, size_t count) {
  const sa_family_t family = addrs[0].as.any.sa_family;
  size_t next[2]; /* Of the other families, and of the first. */
  bool is_first = true;
  next[true] = 0;
  next[false] = find(addrs, count, 0, family, false);
  for (size_t i = 0; i < count; i++) {
    if (next[is_first] == count) is_first = !is_first;
    out[i] = addrs[next[is_first]];
    next[is_first] = find(addrs, count, next[is_first] + 1, family, is_first);
    is_first = !is_first;
  }
}

/* -- Attempts -------------------------------------------------------------- */

/* Whether an error says no more than that this machine does not have the
 * network of that address. Beside it any other error tells more. */
static bool is_about_us(int error) {
  return error == ENETUNREACH || error == EHOSTUNREACH ||
         error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static void note_failure(ws__dial *d, size_t index, int error) {
  if (d->error != 0 && is_about_us(error) && !is_about_us(d->error)) return;
  d->error = error;
  d->error_index = index;
}

static bool can_begin(const ws__dial *d) {
  return !d->is_won && d->begun < d->count && d->racing < WS__DIAL_RACES;
}

/* Begins one more attempt. Addresses that fail at once are passed: nothing is
 * gained by waiting after them. */
static void begin_next(ws__dial *d, uint64_t now) {
  while (can_begin(d)) {
    attempt a = {.index = d->begun++};
    const int error = ws__net_connect(&d->addrs[a.index], &a.fd);
    if (error == 0) {
      d->race[d->racing++] = a;
      d->next_at = now + WS__DIAL_PACE;
      return;
    }
    note_failure(d, a.index, error);
  }
}

/* Returns the place of `fd` in the race; `racing` if it is not there. */
static size_t find_attempt(const ws__dial *d, int fd) {
  size_t i = 0;
  while (i < d->racing && d->race[i].fd != fd)
    i++;
  return i;
}

static attempt take_attempt(ws__dial *d, size_t place) {
  const attempt a = d->race[place];
  d->racing--;
  for (size_t i = place; i < d->racing; i++)
    d->race[i] = d->race[i + 1];
  return a;
}

void ws__dial_on_ready(ws__dial *dial, int fd, uint64_t now) {
  const size_t place = find_attempt(dial, fd);
  if (dial->is_won || place == dial->racing) return;
  const int error = ws__net_connect_result(fd);
  if (error == EINPROGRESS) return;

  const attempt a = take_attempt(dial, place);
  if (error == 0) {
    dial->is_won = true;
    dial->winner = a;
    return;
  }
  note_failure(dial, a.index, error);
  ws__net_close(fd);
  begin_next(dial, now);
}

void ws__dial_tick(ws__dial *dial, uint64_t now) {
  if (now >= ws__dial_deadline(dial)) begin_next(dial, now);
}

/* -- The caller's view ----------------------------------------------------- */

int ws__dial_new(const ws_allocator *allocator, const ws__addr *addrs,
                 size_t count, uint64_t now, ws__dial **out_dial) {
  assert(count > 0);
  if (count > (SIZE_MAX - sizeof(ws__dial)) / sizeof(*addrs))
    return WS_ERR_NO_MEMORY;
  ws__dial *d = ws__alloc_zero(allocator, sizeof(*d) + count * sizeof(*addrs));
  if (d == NULL) return WS_ERR_NO_MEMORY;
  d->allocator = allocator;
  d->winner.fd = NO_FD;
  d->count = count;
  interleave(d->addrs, addrs, count);
  begin_next(d, now);
  *out_dial = d;
  return 0;
}

size_t ws__dial_fds(const ws__dial *dial, int out_fds[WS__DIAL_RACES]) {
  if (dial->is_won) return 0;
  for (size_t i = 0; i < dial->racing; i++)
    out_fds[i] = dial->race[i].fd;
  return dial->racing;
}

uint64_t ws__dial_deadline(const ws__dial *dial) {
  return can_begin(dial) ? dial->next_at : UINT64_MAX;
}

static void describe(const ws__dial *d, char *detail) {
  char name[WS__ADDR_TEXT_SIZE], text[WS__DETAIL_SIZE];
  const bool is_pending = d->racing > 0;
  const size_t index = is_pending ? d->race[0].index : d->error_index;
  const char *cause =
      is_pending ? "no answer yet" : ws__errno_text(d->error, text);
  ws__addr_format(&d->addrs[index], name);
  if (d->count == 1) {
    ws__detail_set(detail, "%s: %s", name, cause);
  } else {
    ws__detail_set(detail, "%s: %s (tried %zu of %zu addresses)", name, cause,
                   d->begun, d->count);
  }
}

int ws__dial_result(ws__dial *dial, int *out_fd, ws__addr *out_addr,
                    char *detail) {
  if (dial->is_won) {
    assert(dial->winner.fd != NO_FD);
    *out_fd = dial->winner.fd;
    *out_addr = dial->addrs[dial->winner.index];
    dial->winner.fd = NO_FD;
    return 0;
  }
  describe(dial, detail);
  return dial->racing > 0 ? WS__DIAL_PENDING : WS_ERR_CONNECT;
}

int ws__dial_system_error(const ws__dial *dial) {
  return dial->error;
}

void ws__dial_free(ws__dial *dial) {
  if (dial == NULL) return;
  for (size_t i = 0; i < dial->racing; i++)
    ws__net_close(dial->race[i].fd);
  if (dial->winner.fd != NO_FD) ws__net_close(dial->winner.fd);
  ws__free(dial->allocator, dial,
           sizeof(*dial) + dial->count * sizeof(*dial->addrs));
}
