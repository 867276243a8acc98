/* The intrusive list, by hand and against a plain array. */
#include "test.h"

#include "base/list.h"

typedef struct item {
  int number;
  ws__list link;
} item;

static item *item_of(ws__list *node) {
  return WS__CONTAINER_OF(node, item, link);
}

/* A node in no list is a list of its own, without elements. */
static bool is_linked(const ws__list *node) {
  return !ws__list_is_empty(node);
}

static void assert_numbers(const ws__list *list, const int *numbers,
                           size_t count) {
  size_t i = 0;
  for (ws__list *node = list->next; node != list; node = node->next) {
    assert_true(i < count);
    assert_int_equal(item_of(node)->number, numbers[i++]);
    assert_ptr_equal(node->next->prev, node);
    assert_ptr_equal(node->prev->next, node);
  }
  assert_int_equal(i, count);
  assert_int_equal(ws__list_is_empty(list), count == 0);
}

static void a_new_list_is_empty(void **state) {
  (void)state;
  ws__list list;
  ws__list_init(&list);
  assert_true(ws__list_is_empty(&list));
  assert_null(ws__list_first(&list));
}

static void elements_come_in_the_order_they_were_put(void **state) {
  (void)state;
  ws__list list;
  ws__list_init(&list);
  item items[3];
  for (int i = 0; i < 3; i++) {
    items[i].number = i;
    ws__list_init(&items[i].link);
    assert_false(is_linked(&items[i].link));
    ws__list_push_back(&list, &items[i].link);
    assert_true(is_linked(&items[i].link));
  }
  assert_numbers(&list, (int[]){0, 1, 2}, 3);
  assert_ptr_equal(ws__list_first(&list), &items[0].link);
}

static void an_element_leaves_from_any_place_and_can_come_back(void **state) {
  (void)state;
  for (int gone = 0; gone < 3; gone++) {
    ws__list list;
    ws__list_init(&list);
    item items[3];
    for (int i = 0; i < 3; i++) {
      items[i].number = i;
      ws__list_push_back(&list, &items[i].link);
    }
    ws__list_remove(&items[gone].link);
    assert_false(is_linked(&items[gone].link));
    assert_numbers(&list, (int[]){gone == 0, gone == 2 ? 1 : 2}, 2);
    ws__list_remove(&items[gone].link);
    assert_numbers(&list, (int[]){gone == 0, gone == 2 ? 1 : 2}, 2);
    ws__list_push_back(&list, &items[gone].link);
    assert_numbers(&list, (int[]){gone == 0, gone == 2 ? 1 : 2, gone}, 3);
  }
}

static void random_calls_agree_with_an_array(void **state) {
  (void)state;
  enum {
    ITEMS = 12,
    STEPS = 20000
  };
  ws__list list;
  ws__list_init(&list);
  item items[ITEMS];
  for (int i = 0; i < ITEMS; i++) {
    items[i].number = i;
    ws__list_init(&items[i].link);
  }
  int numbers[ITEMS];
  size_t count = 0;
  uint32_t seed = 1;
  for (int step = 0; step < STEPS; step++) {
    seed = seed * 1664525u + 1013904223u;
    item *it = &items[(seed >> 16) % ITEMS];
    if (!is_linked(&it->link)) {
      ws__list_push_back(&list, &it->link);
      numbers[count++] = it->number;
    } else {
      ws__list_remove(&it->link);
      size_t i = 0;
      while (numbers[i] != it->number)
        i++;
      count--;
      memmove(&numbers[i], &numbers[i + 1], (count - i) * sizeof(numbers[0]));
    }
    assert_numbers(&list, numbers, count);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_list_is_empty),
      cmocka_unit_test(elements_come_in_the_order_they_were_put),
      cmocka_unit_test(an_element_leaves_from_any_place_and_can_come_back),
      cmocka_unit_test(random_calls_agree_with_an_array),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
