// What the storage tests share: a folder that goes away, and running one awaitable to its end.
#pragma once

#include <stdlib.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "storage/journal.h"

namespace keyturn::storage::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "keyturn-storage-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path file(const std::string& name = "journal.db") const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Runs `io` until `work` has ended; its result, or its exception.
template <typename T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> work) {
  std::optional<T> result;
  std::exception_ptr failure;
  boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr error, T value) {
    failure = error;
    if (!error) result.emplace(std::move(value));
  });
  io.restart();
  io.run();
  if (failure) std::rethrow_exception(failure);
  if (!result) throw std::runtime_error("the coroutine never ended");
  return std::move(*result);
}

// The bytes that pairs of hexadecimal digits stand for.
inline std::string unhex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

inline TimePoint time_of(const char* text) { return from_iso8601(text).value(); }

inline NewEntry entry_of(std::string rotation, std::string type,
                         nlohmann::json data = nlohmann::json::object()) {
  return {
      .at = time_of("2026-11-23T19:16:05.123Z"),
      .rotation = std::move(rotation),
      .type = std::move(type),
      .actor = "U0OPERATOR",
      .data = std::move(data),
  };
}

inline Batch batch_of(NewEntry entry) {
  Batch batch;
  batch.entries.push_back(std::move(entry));
  return batch;
}

}  // namespace keyturn::storage::testing
