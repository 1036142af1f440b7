// A secret in memory: move-only, wiped when it dies, in locked memory that no core dump holds.
// It can't be streamed, formatted, copied, concatenated or turned into JSON by accident; expose() is the only
// way to read it, so `grep expose` lists every place where a secret is in the clear.
// Thread: a Secret belongs to one thread at a time; a SharedSecret is immutable and may be read from any.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace keyturn::storage {

class Secret {
 public:
  Secret() noexcept = default;
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  // Copies; the caller's buffer stays the caller's to wipe.
  static Secret copy_of(std::string_view plain);

  // Copies, then wipes `plain` in place (its whole capacity) and leaves it empty.
  static Secret take(std::string& plain);

  // A secret of `size` bytes from the system's random source.
  static Secret random(std::size_t size);

  // A secret of `size` bytes that `fill` writes in place, so that a derived or decrypted one never exists
  // elsewhere.
  template <std::invocable<std::span<char>> Fill>
  static Secret filled(std::size_t size, Fill fill) {
    Secret secret(size);
    fill(std::span<char>(secret.data_, secret.size_));
    return secret;
  }

  Secret clone() const;
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  // The bytes, valid while this lives and isn't moved from. Never store, log or send what it returns,
  // but to the one system the secret is for.
  std::string_view expose() const noexcept { return {data_, size_}; }

  // Compares in constant time (for equal sizes).
  bool equals(const Secret& other) const noexcept;

 private:
  explicit Secret(std::size_t size);
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

using SharedSecret = std::shared_ptr<const Secret>;

SharedSecret share(Secret secret);

// Overwrites and empties a string that held a secret (its whole capacity).
void wipe(std::string& text) noexcept;

// Once, at the start of the process, before any secret exists: no core files, not dumpable, locked memory.
// (Sanitizer builds stay dumpable: LeakSanitizer attaches to its own process as a debugger would.)
// False (with the reason in `why`) when the system refused a part of it.
bool protect_process_memory(std::string& why);

}  // namespace keyturn::storage
