/* The heap of deadlines, by hand and against a search through all nodes. */
#include "test.h"

#include "base/heap.h"
#include "test_alloc.h"

#include <stdlib.h>

typedef struct timer {
  uint64_t key; /* What the heap was told, for the model. */
  ws__heap_node node;
} timer;

/* The invariant of heap.h. */
static void assert_heap(const ws__heap *heap) {
  assert_true(heap->len <= heap->cap);
  for (size_t i = 0; i < heap->len; i++) {
    assert_int_equal(heap->slots[i].node->place, i + 1);
    if (i > 0) {
      assert_true(heap->slots[(i - 1) / 2].key <= heap->slots[i].key);
    }
  }
}

static void an_empty_heap_has_no_minimum(void **state) {
  (void)state;
  ws__heap heap = {0};
  ws__heap_node node = {0};
  assert_null(ws__heap_min(&heap));
  assert_false(ws__heap_contains(&node));
  ws__heap_remove(&heap, &node);
  ws__heap_free(&heap, &ws__malloc);
}

static void nodes_come_out_in_order_of_their_keys(void **state) {
  (void)state;
  static const uint64_t keys[] = {5, UINT64_MAX, 0, 7, 7, 1, 3, UINT64_MAX};
  static const uint64_t sorted[] = {0, 1, 3, 5, 7, 7, UINT64_MAX, UINT64_MAX};
  enum {
    COUNT = sizeof(keys) / sizeof(keys[0])
  };
  ws__heap heap = {0};
  ws__heap_node nodes[COUNT] = {0};
  for (size_t i = 0; i < COUNT; i++) {
    assert_int_equal(ws__heap_insert(&heap, &ws__malloc, &nodes[i], keys[i]),
                     0);
    assert_true(ws__heap_contains(&nodes[i]));
    assert_heap(&heap);
  }
  for (size_t i = 0; i < COUNT; i++) {
    const ws__heap_slot *min = ws__heap_min(&heap);
    assert_non_null(min);
    assert_true(min->key == sorted[i]);
    ws__heap_node *node = min->node;
    assert_true(keys[node - nodes] == sorted[i]);
    ws__heap_remove(&heap, node);
    assert_false(ws__heap_contains(node));
    assert_heap(&heap);
  }
  assert_null(ws__heap_min(&heap));
  ws__heap_free(&heap, &ws__malloc);
}

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static void random_calls_agree_with_a_search(void **state) {
  (void)state;
  enum {
    TIMERS = 100,
    STEPS = 50000
  };
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws__heap heap = {0};
  timer *timers = calloc(TIMERS, sizeof(*timers));
  assert_non_null(timers);
  uint32_t seed = 2;
  size_t count = 0;
  for (int step = 0; step < STEPS; step++) {
    timer *t = &timers[next_random(&seed) % TIMERS];
    const uint64_t key = next_random(&seed) % 64; /* Many of the same. */
    if (!ws__heap_contains(&t->node)) {
      assert_int_equal(ws__heap_insert(&heap, &alloc.allocator, &t->node, key),
                       0);
      t->key = key;
      count++;
    } else if (next_random(&seed) % 2 == 0) {
      ws__heap_update(&heap, &t->node, key);
      t->key = key;
    } else {
      ws__heap_remove(&heap, &t->node);
      count--;
    }

    assert_heap(&heap);
    assert_int_equal(heap.len, count);
    uint64_t smallest = UINT64_MAX;
    for (size_t i = 0; i < TIMERS; i++) {
      if (!ws__heap_contains(&timers[i].node)) continue;
      const ws__heap_slot *slot = &heap.slots[timers[i].node.place - 1];
      assert_ptr_equal(slot->node, &timers[i].node);
      assert_true(slot->key == timers[i].key);
      if (slot->key < smallest) smallest = slot->key;
    }
    const ws__heap_slot *min = ws__heap_min(&heap);
    assert_int_equal(min == NULL, count == 0);
    if (min != NULL) assert_true(min->key == smallest);
  }
  ws__heap_free(&heap, &alloc.allocator);
  assert_int_equal(alloc.held, 0);
  free(timers);
}

static void insert_without_memory_changes_nothing(void **state) {
  (void)state;
  enum {
    NODES = 100
  };
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    ws__heap heap = {0};
    ws__heap_node nodes[NODES] = {0};
    for (size_t i = 0; i < NODES; i++) {
      const size_t len = heap.len;
      int err = ws__heap_insert(&heap, &alloc.allocator, &nodes[i], NODES - i);
      if (err != 0) {
        assert_int_equal(err, WS_ERR_NO_MEMORY);
        assert_int_equal(heap.len, len);
        assert_false(ws__heap_contains(&nodes[i]));
        assert_heap(&heap);
        err = ws__heap_insert(&heap, &alloc.allocator, &nodes[i], NODES - i);
      }
      assert_int_equal(err, 0);
    }
    assert_ptr_equal(ws__heap_min(&heap)->node, &nodes[NODES - 1]);
    ws__heap_free(&heap, &alloc.allocator);
    assert_int_equal(alloc.held, 0);
    if (alloc.calls <= n) break;
  }
}

static void a_freed_heap_can_be_used_again(void **state) {
  (void)state;
  ws__heap heap = {0};
  for (int round = 0; round < 2; round++) {
    ws__heap_node node = {0};
    assert_int_equal(ws__heap_insert(&heap, &ws__malloc, &node, 1), 0);
    ws__heap_free(&heap, &ws__malloc);
    assert_null(heap.slots);
    assert_null(ws__heap_min(&heap));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_heap_has_no_minimum),
      cmocka_unit_test(nodes_come_out_in_order_of_their_keys),
      cmocka_unit_test(random_calls_agree_with_a_search),
      cmocka_unit_test(insert_without_memory_changes_nothing),
      cmocka_unit_test(a_freed_heap_can_be_used_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
