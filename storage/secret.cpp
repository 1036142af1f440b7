#include "storage/secret.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace keyturn::storage {
namespace {

// One arena between guard pages, locked and left out of core dumps. A key is some hundred bytes, so this
// holds thousands; what doesn't fit goes to pages of its own.
constexpr std::size_t kArenaBytes = std::size_t{1} << 20;
constexpr std::size_t kSmallestBlock = 64;

enum class Arena { locked, unlocked, missing };

Arena arena() {
  static const Arena state = [] {
    switch (CRYPTO_secure_malloc_init(kArenaBytes, kSmallestBlock)) {
      case 1:
        return Arena::locked;
      case 2:
        return Arena::unlocked;
      default:
        // Somebody else may have set it up already; then it isn't ours to judge, but it is there.
        return CRYPTO_secure_malloc_initialized() == 1 ? Arena::locked : Arena::missing;
    }
  }();
  return state;
}

std::size_t whole_pages(std::size_t size) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

// Pages of their own: locking and unlocking works on whole pages, and a page shared with other blocks would
// lose its lock with the first of them.
char* allocate_pages(std::size_t size) {
  const std::size_t length = whole_pages(size);
  void* pages = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  mlock(pages, length);                   // best effort: RLIMIT_MEMLOCK may be spent
  madvise(pages, length, MADV_DONTDUMP);  // best effort too
  return static_cast<char*>(pages);
}

char* allocate_from_arena(std::size_t size) {
  if (arena() != Arena::locked) return nullptr;
  ERR_set_mark();  // a full arena leaves an error behind that some later TLS call would report as its own
  auto* block = static_cast<char*>(OPENSSL_secure_malloc(size));
  ERR_pop_to_mark();
  return block;
}

char* allocate(std::size_t size) {
  if (size == 0) return nullptr;
  char* block = allocate_from_arena(size);
  return block != nullptr ? block : allocate_pages(size);
}

void wipe_and_release(char* data, std::size_t size) noexcept {
  if (data == nullptr) return;
  if (CRYPTO_secure_allocated(data) == 1) {
    OPENSSL_secure_clear_free(data, size);
    return;
  }
  OPENSSL_cleanse(data, size);
  munmap(data, whole_pages(size));
}

void add_reason(std::string& why, const std::string& reason) {
  if (!why.empty()) why += "; ";
  why += reason;
}

std::string system_reason(const char* call) {
  return std::string(call) + ": " + std::generic_category().message(errno);
}

}  // namespace

Secret::Secret(std::size_t size) : data_(allocate(size)), size_(size) {}

Secret::~Secret() { wipe_and_release(data_, size_); }

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe_and_release(data_, size_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Secret Secret::copy_of(std::string_view plain) {
  Secret secret(plain.size());
  if (!plain.empty()) std::memcpy(secret.data_, plain.data(), plain.size());
  return secret;
}

Secret Secret::take(std::string& plain) {
  Secret secret = copy_of(plain);
  wipe(plain);
  return secret;
}

Secret Secret::random(std::size_t size) {
  return filled(size, [](std::span<char> bytes) {
    if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) !=
        1) {
      throw std::runtime_error("the system's random source failed");
    }
  });
}

Secret Secret::clone() const { return copy_of(expose()); }

bool Secret::equals(const Secret& other) const noexcept {
  if (size_ != other.size_) return false;
  return size_ == 0 || CRYPTO_memcmp(data_, other.data_, size_) == 0;
}

SharedSecret share(Secret secret) { return std::make_shared<const Secret>(std::move(secret)); }

void wipe(std::string& text) noexcept {
  // Up to its capacity a string doesn't reallocate; what an earlier, longer value left behind the end goes
  // too.
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

bool protect_process_memory(std::string& why) {
  why.clear();
#ifndef KEYTURN_SANITIZED
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) add_reason(why, system_reason("prctl(PR_SET_DUMPABLE)"));
#endif
  const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) add_reason(why, system_reason("setrlimit(RLIMIT_CORE)"));
  if (arena() != Arena::locked) {
    add_reason(
        why, "secrets can't be locked into memory, so they may reach swap (is RLIMIT_MEMLOCK below 1 MiB?)");
  }
  return why.empty();
}

}  // namespace keyturn::storage
