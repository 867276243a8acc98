/* list.h - a doubly linked list whose links live inside its elements.
 *
 * A ring: the list itself is one more node, so that no operation has a special
 * case and an element can leave without knowing its list. Nothing is allocated.
 * Invariant: node->next->prev == node == node->prev->next for every node, also
 * for one that is in no list, which is a ring of its own. */
#ifndef WS__LIST_H
#define WS__LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ws__list {
  struct ws__list *prev;
  struct ws__list *next;
} ws__list;

/* The struct of `type` whose `member` the pointer points at. */
#define WS__CONTAINER_OF(ptr, type, member) \
  ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Makes an empty list, or a node that is in no list. Needed before any other
 * call. The node must not move while it is linked. */
static inline void ws__list_init(ws__list *node) {
  node->prev = node;
  node->next = node;
}

static inline bool ws__list_is_empty(const ws__list *list) {
  return list->next == list;
}

/* The first element, or NULL. */
static inline ws__list *ws__list_first(const ws__list *list) {
  return ws__list_is_empty(list) ? NULL : list->next;
}

/* Puts a node that is in no list at the end. */
static inline void ws__list_push_back(ws__list *list, ws__list *node) {
  node->prev = list->prev;
  node->next = list;
  list->prev->next = node;
  list->prev = node;
}

/* Takes a node out of its list; does nothing if it is in none. */
static inline void ws__list_remove(ws__list *node) {
  node->prev->next = node->next;
  node->next->prev = node->prev;
  ws__list_init(node);
}

#endif
