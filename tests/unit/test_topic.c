/* Topics: who is subscribed to what. */
#include "test.h"

#include "api/topic.h"
#include "test_alloc.h"

#include <stdio.h>
#include <string.h>

typedef struct subscriber {
  ws__subscription *list;
} subscriber;

static test_alloc alloc;
static ws__topics topics;

static int set_up(void **state) {
  (void)state;
  test_alloc_init(&alloc);
  ws__topics_init(&topics, &alloc.allocator, (ws__siphash_key){1, 2});
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  assert_int_equal(topics.count, 0);
  ws__topics_free(&topics);
  assert_int_equal(alloc.held, 0);
  return 0;
}

static int subscribe(subscriber *who, const char *name) {
  return ws__topics_subscribe(&topics, name, who, &who->list);
}

static size_t count(const char *name) {
  const ws__list *list = ws__topics_find(&topics, name);
  size_t n = 0;
  if (list == NULL) return 0;
  for (const ws__list *l = list->next; l != list; l = l->next)
    n++;
  return n;
}

static void names_are_1_to_255_bytes(void **state) {
  (void)state;
  char name[WS__TOPIC_NAME_MAX + 2];
  memset(name, 'n', sizeof(name));
  name[WS__TOPIC_NAME_MAX + 1] = '\0';
  assert_false(ws__topic_is_name(name));
  name[WS__TOPIC_NAME_MAX] = '\0';
  assert_true(ws__topic_is_name(name));
  assert_true(ws__topic_is_name("\xFF"));
  assert_false(ws__topic_is_name(""));
}

static void a_topic_lives_while_it_has_subscribers(void **state) {
  (void)state;
  subscriber a = {0}, b = {0};
  assert_null(ws__topics_find(&topics, "news"));
  assert_int_equal(subscribe(&a, "news"), 0);
  assert_int_equal(subscribe(&b, "news"), 0);
  assert_int_equal(count("news"), 2);
  assert_int_equal(topics.count, 1);
  ws__topics_unsubscribe(&topics, "news", &a.list);
  assert_int_equal(count("news"), 1);
  const ws__list *list = ws__topics_find(&topics, "news");
  assert_ptr_equal(WS__CONTAINER_OF(list->next, ws__subscription, link)->owner,
                   &b);
  ws__topics_leave(&topics, &b.list);
  assert_null(ws__topics_find(&topics, "news"));
}

static void a_second_subscription_changes_nothing(void **state) {
  (void)state;
  subscriber a = {0};
  assert_int_equal(subscribe(&a, "news"), 0);
  assert_int_equal(subscribe(&a, "news"), 0);
  assert_int_equal(count("news"), 1);
  ws__topics_unsubscribe(&topics, "weather", &a.list);
  assert_int_equal(count("news"), 1);
  ws__topics_leave(&topics, &a.list);
  assert_null(a.list);
}

static void many_topics_are_all_found(void **state) {
  (void)state;
  enum {
    MANY = 1000
  };
  subscriber a = {0}, b = {0};
  char name[32];
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof(name), "topic %d", i);
    assert_int_equal(subscribe(&a, name), 0);
    if (i % 2 == 0) assert_int_equal(subscribe(&b, name), 0);
  }
  assert_int_equal(topics.count, MANY);
  ws__topics_leave(&topics, &a.list);
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof(name), "topic %d", i);
    assert_int_equal(count(name), i % 2 == 0 ? 1 : 0);
  }
  ws__topics_leave(&topics, &b.list);
}

static void without_memory_nothing_changes(void **state) {
  (void)state;
  for (size_t n = 0;; n++) {
    subscriber a = {0};
    alloc.calls = 0;
    alloc.fail_at = n;
    const int err = subscribe(&a, "news");
    if (alloc.calls <= n) {
      assert_int_equal(err, 0);
      ws__topics_leave(&topics, &a.list);
      break;
    }
    assert_int_equal(err, WS_ERR_NO_MEMORY);
    assert_null(a.list);
    assert_int_equal(topics.count, 0);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(names_are_1_to_255_bytes),
      TEST(a_topic_lives_while_it_has_subscribers),
      TEST(a_second_subscription_changes_nothing),
      TEST(many_topics_are_all_found),
      TEST(without_memory_nothing_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
