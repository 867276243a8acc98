/* Which file a request target names, and which it must not. */
#include "test.h"

#include "api/files.h"

#include <string.h>

static void targets_name_files_below_the_folder(void **state) {
  (void)state;
  static const struct {
    const char *target;
    const char *path;
  } cases[] = {
      {"/", "index.html"},     {"/?x=1", "index.html"},
      {"/chat.js", "chat.js"}, {"/chat.js?v=2", "chat.js"},
      {"/a/b.css", "a/b.css"}, {"/a/", "a/index.html"},
      {"/a%20b", "a b"},       {"/%e2%82%AC", "\xE2\x82\xAC"},
      {"/a.b..c", "a.b..c"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    char path[WS__FILE_PATH_SIZE];
    assert_true(ws__file_path(cases[i].target, path));
    assert_string_equal(path, cases[i].path);
  }
}

/* Whatever could lead out of the folder, or to what is hidden in it. */
static void targets_that_could_lead_elsewhere_name_nothing(void **state) {
  (void)state;
  static const char *const targets[] = {
      "",           "*",       "x",         "http://h/x", "/..",
      "/../x",      "/a/../x", "/%2e%2e/x", "/%2E./x",    "/.git/config",
      "/a/.hidden", "//etc",   "/a//b",     "/a%2fb",     "/a%2F..%2Fb",
      "/a\\b",      "/a%5cb",  "/a%00b",    "/%",         "/%4",
      "/%zz",       "/a%2",    "/.",        "/a/.",
  };
  for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
    char path[WS__FILE_PATH_SIZE];
    if (ws__file_path(targets[i], path)) {
      fail_msg("%s names %s", targets[i], path);
    }
  }
}

static void paths_are_bounded(void **state) {
  (void)state;
  static char target[2 * WS__FILE_PATH_SIZE];
  char path[WS__FILE_PATH_SIZE];
  bool was_taken = true;
  for (size_t len = 1; len + 1 < sizeof(target); len++) {
    memset(target, 'x', len);
    target[0] = '/';
    target[len] = '\0';
    const bool is_taken = ws__file_path(target, path);
    if (is_taken) assert_true(strlen(path) < WS__FILE_PATH_SIZE);
    assert_true(was_taken || !is_taken);
    was_taken = is_taken;
  }
  assert_false(was_taken);
}

static void the_end_of_a_path_tells_its_type(void **state) {
  (void)state;
  assert_string_equal(ws__file_type("index.html"), "text/html; charset=utf-8");
  assert_string_equal(ws__file_type("a/b.js"),
                      "text/javascript; charset=utf-8");
  assert_string_equal(ws__file_type("x.png"), "image/png");
  assert_string_equal(ws__file_type("html"), "application/octet-stream");
  assert_string_equal(ws__file_type(".html"), "application/octet-stream");
  assert_string_equal(ws__file_type("x.html.exe"), "application/octet-stream");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(targets_name_files_below_the_folder),
      cmocka_unit_test(targets_that_could_lead_elsewhere_name_nothing),
      cmocka_unit_test(paths_are_bounded),
      cmocka_unit_test(the_end_of_a_path_tells_its_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
