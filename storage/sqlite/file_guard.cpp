#include "storage/sqlite/file_guard.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "storage/sqlite/database.h"

namespace keyturn::storage::sqlite {
namespace {

constexpr mode_t kOwnerOnly = 0600;

[[noreturn]] void fail(const std::string& file, const char* what) {
  throw DatabaseError(fmt::format("{} can't be {}: {}", file, what, std::generic_category().message(errno)));
}

int open_private(const std::string& file) {
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly);
  if (descriptor < 0) fail(file, "opened");
  return descriptor;
}

// A new file's name is on disk only once its folder is.
void sync_folder(const std::filesystem::path& file) {
  const auto folder = file.has_parent_path() ? file.parent_path().string() : std::string(".");
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail(folder, "opened");
  const int status = fsync(descriptor);
  close(descriptor);
  if (status != 0) fail(folder, "synced");
}

void restrict_if_there(const std::string& file) {
  if (chmod(file.c_str(), kOwnerOnly) != 0 && errno != ENOENT) fail(file, "made private");
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& file) : descriptor_(open_private(file.string() + ".lock")) {
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int reason = errno;
  close(descriptor_);
  if (reason == EWOULDBLOCK) {
    throw DatabaseError(fmt::format(
        "another keyturn is using {0} (it holds the lock on {0}.lock): stop that one first", file.string()));
  }
  errno = reason;
  fail(file.string() + ".lock", "locked");
}

FileLock::~FileLock() { close(descriptor_); }

void make_private(const std::filesystem::path& file) {
  const int descriptor = open_private(file.string());
  const int status = fchmod(descriptor, kOwnerOnly);
  close(descriptor);
  if (status != 0) fail(file.string(), "made private");
  restrict_if_there(file.string() + "-wal");
  restrict_if_there(file.string() + "-shm");
  sync_folder(file);
}

}  // namespace keyturn::storage::sqlite
