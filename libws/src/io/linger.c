/* linger.c - a source that reads and forgets until the peer closes. */
#include "io/linger.h"
#include "io/net.h"

typedef struct lingerer {
  ws__source source;
  ws_loop *loop;
  size_t bytes;
  bool is_over;
} lingerer;

static void end(lingerer *l) {
  const int fd = l->source.node.fd;
  ws_loop *loop = l->loop;
  ws__loop_remove(loop, &l->source);
  loop->lingerers--;
  ws__net_close(fd);
  ws__free(&loop->allocator, l, sizeof(*l));
}

static void begin(ws__source *source, unsigned ready) {
  lingerer *l = (lingerer *)source;
  l->is_over = true;
  if ((ready & WS__POLLER_READ) == 0) return; /* Time is up. */

  size_t len = 0;
  const ws__io io = ws__net_recv(source->node.fd, l->loop->receive_buffer,
                                 l->loop->receive_size, &len);
  l->bytes += len;
  l->is_over =
      !(io == WS__IO_AGAIN || (io == WS__IO_OK && l->bytes < WS__LINGER_BYTES));
}

static bool next(ws__source *source, ws_event *out_event) {
  (void)out_event;
  lingerer *l = (lingerer *)source;
  if (l->is_over) end(l);
  return false;
}

static void drop(ws__source *source) {
  end((lingerer *)source);
}

static const ws__source_ops ops = {.begin = begin, .next = next, .drop = drop};

void ws__linger(ws_loop *loop, int fd) {
  lingerer *l = loop->lingerers < WS__LINGER_MAX
                    ? ws__alloc_zero(&loop->allocator, sizeof(*l))
                    : NULL;
  if (l == NULL) {
    ws__net_close(fd);
    return;
  }
  l->source.ops = &ops;
  l->source.node.fd = fd;
  l->loop = loop;
  if (ws__loop_add(loop, &l->source) != 0) {
    ws__net_close(fd);
    ws__free(&loop->allocator, l, sizeof(*l));
    return;
  }
  loop->lingerers++;
  if (ws__loop_watch(loop, &l->source, WS__POLLER_READ) != 0) {
    end(l);
  } else {
    ws__loop_set_deadline(loop, &l->source, loop->now + WS__LINGER_MS);
  }
}
