// What the file system has to promise before SQLite opens the journal: nobody else writes it, and only we can
// read it. Thread: io. Failure: throws DatabaseError in words for the person who runs the bot.
#pragma once

#include <filesystem>

namespace keyturn::storage::sqlite {

// An exclusive flock() on FILE.lock for as long as this lives; the kernel lets go of it when the process
// dies, however it dies. The lock file stays: removing it would let two processes lock two files of the same
// name.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;
};

// Creates `file` when there is none, and takes it and its -wal and -shm away from group and others. Before
// SQLite has the file open: closing any descriptor of it would drop SQLite's own locks.
void make_private(const std::filesystem::path& file);

}  // namespace keyturn::storage::sqlite
