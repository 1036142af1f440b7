#include "storage/secret.h"

#include <openssl/crypto.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <concepts>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace keyturn::storage;

namespace {

// The proof that a secret can't leak by an everyday slip: none of these expressions compiles. Each concept is
// held against a std::string too, so that a concept which is never true doesn't count as proof.
template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };
template <typename T>
concept Formattable = fmt::is_formattable<T>::value;
template <typename T>
concept JsonAble = std::is_constructible_v<nlohmann::json, const T&>;
template <typename T>
concept JsonAssignable = requires(nlohmann::json& json, const T& value) { json["key"] = value; };
template <typename T>
concept Concatenable = requires(const T& value, std::string text) { text + value; } ||
                       requires(const T& value, std::string text) { value + text; } ||
                       requires(const T& value, std::string text) { text += value; };
template <typename T>
concept TextLike =
    std::convertible_to<const T&, std::string> || std::convertible_to<const T&, std::string_view> ||
    std::constructible_from<std::string, const T&> || std::constructible_from<std::string_view, const T&>;
template <typename T>
concept Comparable =
    requires(const T& a, const T& b) { a == b; } || requires(const T& a, const T& b) { a < b; };
template <typename T>
concept Copyable = std::is_copy_constructible_v<T> || std::is_copy_assignable_v<T>;
template <typename T>
concept Pointerlike = requires(const T& value) { value.data(); } ||
                      requires(const T& value) { value.begin(); } || requires(const T& value) { value[0]; } ||
                      std::convertible_to<const T&, const void*> || std::convertible_to<const T&, bool>;

static_assert(Streamable<std::string> && !Streamable<Secret>);
static_assert(Formattable<std::string> && !Formattable<Secret>);
static_assert(JsonAble<std::string> && !JsonAble<Secret>);
static_assert(JsonAssignable<std::string> && !JsonAssignable<Secret>);
static_assert(Concatenable<std::string> && !Concatenable<Secret>);
static_assert(TextLike<std::string> && !TextLike<Secret>);
static_assert(Comparable<std::string> && !Comparable<Secret>);  // == leaks by its timing
static_assert(Copyable<std::string> && !Copyable<Secret>);
static_assert(Pointerlike<std::string> && !Pointerlike<Secret>);
static_assert(!Formattable<SharedSecret> && !JsonAble<SharedSecret> && !TextLike<SharedSecret>);
static_assert(!std::convertible_to<std::string, Secret> && !std::convertible_to<const char*, Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);

// Runs `check` in a child, because what it does to a process can't be undone; the child's verdict.
template <typename Check>
bool in_a_child(Check check) {
  const pid_t child = fork();
  if (child == 0) _exit(check() ? 0 : 1);
  int status = -1;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_protected_now() {
  std::string why;
  const bool everything = protect_process_memory(why);
  rlimit core{};
  getrlimit(RLIMIT_CORE, &core);
#ifdef KEYTURN_SANITIZED
  const bool hidden = true;  // LeakSanitizer has to attach
#else
  const bool hidden = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
#endif
  return hidden && core.rlim_cur == 0 && core.rlim_max == 0 && everything == why.empty();
}

}  // namespace

TEST_CASE("a secret shows what it was made of, and only through expose") {
  CHECK(Secret::copy_of("correct horse").expose() == "correct horse");
  CHECK(Secret::copy_of(std::string_view("a\0b", 3)).size() == 3);
  CHECK(Secret().empty());
  CHECK(Secret::copy_of("").expose().empty());
}

TEST_CASE("a moved-from secret is empty") {
  auto first = Secret::copy_of("correct horse");
  auto second = std::move(first);
  CHECK(first.empty());  // NOLINT(bugprone-use-after-move): that is the promise
  CHECK(first.expose().empty());
  CHECK(second.expose() == "correct horse");

  auto third = Secret::copy_of("battery staple");
  third = std::move(second);
  CHECK(second.empty());  // NOLINT(bugprone-use-after-move)
  CHECK(third.expose() == "correct horse");

  auto& same = third;
  third = std::move(same);
  CHECK(third.expose() == "correct horse");
}

TEST_CASE("taking a string wipes all of it, also what a longer value left behind its end") {
  for (const std::size_t size : {std::size_t{5}, std::size_t{15}, std::size_t{200}}) {
    std::string plain(size, 'k');
    const std::size_t capacity = plain.capacity();
    plain.resize(4);
    const auto secret = Secret::take(plain);
    CHECK(secret.expose() == "kkkk");
    CHECK(plain.empty());
    REQUIRE(plain.capacity() == capacity);
    const volatile char* buffer = plain.data();
    for (std::size_t i = 0; i < capacity; ++i) CHECK(buffer[i] == 0);
  }
}

TEST_CASE("a clone is another buffer with the same bytes") {
  const auto original = Secret::copy_of("correct horse");
  const auto clone = original.clone();
  CHECK(clone.equals(original));
  CHECK(clone.expose().data() != original.expose().data());
}

TEST_CASE("secrets are equal when size and bytes are") {
  const auto secret = Secret::copy_of("correct horse");
  CHECK(secret.equals(Secret::copy_of("correct horse")));
  CHECK_FALSE(secret.equals(Secret::copy_of("correct house")));
  CHECK_FALSE(secret.equals(Secret::copy_of("correct hors")));
  CHECK_FALSE(secret.equals(Secret()));
  CHECK(Secret().equals(Secret()));
}

TEST_CASE("random secrets differ") {
  const auto first = Secret::random(32);
  CHECK(first.size() == 32);
  CHECK_FALSE(first.equals(Secret::random(32)));
}

TEST_CASE("secrets live in OpenSSL's locked arena, and still work when it is full") {
  const auto small = Secret::copy_of("correct horse");
  const bool locked = CRYPTO_secure_allocated(small.expose().data()) == 1;
  if (!locked) WARN("no locked arena on this system: secrets are on pages of their own");

  std::vector<Secret> many;
  const std::string piece(200'000, 'k');  // a megabyte holds four of them at most
  for (int i = 0; i < 12; ++i) many.push_back(Secret::copy_of(piece));
  CHECK(CRYPTO_secure_allocated(many.back().expose().data()) == 0);
  for (const auto& secret : many) CHECK(secret.expose() == piece);
  many.clear();
  const auto again = Secret::copy_of(piece);
  CHECK(CRYPTO_secure_allocated(again.expose().data()) == (locked ? 1 : 0));
}

TEST_CASE("wiping leaves an empty string") {
  std::string text = "correct horse battery staple";
  wipe(text);
  CHECK(text.empty());
  wipe(text);
  CHECK(text.empty());
}

TEST_CASE("a protected process dumps no core and can't be attached to") {
  CHECK(in_a_child(is_protected_now));
}
