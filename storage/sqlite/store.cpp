#include "storage/sqlite/store.h"

#include <SQLiteCpp/Exception.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "storage/sqlite/database.h"
#include "storage/sqlite/schema.h"

namespace keyturn::storage::sqlite {
namespace {

constexpr auto kSeenFor = std::chrono::days(30);  // Slack gives up on an envelope within hours

// Back to where it can be run again, with nothing bound that a caller may free.
class ResetAfterUse {
 public:
  explicit ResetAfterUse(SQLite::Statement& statement) : statement_(statement) {}
  ~ResetAfterUse() {
    statement_.tryReset();
    statement_.clearBindings();
  }
  ResetAfterUse(const ResetAfterUse&) = delete;
  ResetAfterUse& operator=(const ResetAfterUse&) = delete;

 private:
  SQLite::Statement& statement_;
};

struct Blob {
  const std::string& bytes;
};

void bind(SQLite::Statement& statement, int index, std::int64_t number) { statement.bind(index, number); }
void bind(SQLite::Statement& statement, int index, const std::string& text) {
  statement.bindNoCopy(index, text);
}
void bind(SQLite::Statement& statement, int index, const Blob& blob) {
  statement.bindNoCopy(index, blob.bytes.data(), static_cast<int>(blob.bytes.size()));
}

template <typename... Values>
void bind_all(SQLite::Statement& statement, const Values&... values) {
  int index = 0;
  (bind(statement, ++index, values), ...);
}

// Runs a statement that returns no rows; how many it changed.
template <typename... Values>
int run(SQLite::Statement& statement, const Values&... values) {
  const ResetAfterUse reset(statement);
  bind_all(statement, values...);
  return statement.exec();
}

std::int64_t milliseconds(TimePoint time) { return time.time_since_epoch().count(); }

SQLite::Database open(const std::filesystem::path& file) {
  try {
    make_private(file);
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX,
                              kBusyMilliseconds);
    // FULL: a commit in WAL mode then waits for the disk. secure_delete: what is deleted is overwritten with
    // zeros.
    database.exec("PRAGMA secure_delete = ON");
    database.exec("PRAGMA temp_store = MEMORY");
    database.exec("PRAGMA foreign_keys = ON");
    const auto mode = database.execAndGet("PRAGMA journal_mode = WAL").getString();
    if (mode != "wal")
      throw DatabaseError(fmt::format("{}: the file system can't hold a WAL", file.string()));
    database.exec("PRAGMA synchronous = FULL");
    prepare_schema(database, file);
    return database;
  } catch (const SQLite::Exception& error) {
    throw DatabaseError(fmt::format("{} can't be opened: {}", file.string(), error.what()));
  }
}

}  // namespace

PreparedBatch prepare(Batch batch) {
  PreparedBatch prepared{
      .entries = {},
      .boxes = std::move(batch.boxes),
      .destroyed = std::move(batch.destroyed),
      .once = std::move(batch.once),
  };
  prepared.entries.reserve(batch.entries.size());
  for (auto& entry : batch.entries) {
    try {
      prepared.entries.push_back({
          .at = entry.at,
          .rotation = std::move(entry.rotation),
          .type = std::move(entry.type),
          .actor = std::move(entry.actor),
          .data = entry.data.dump(),
      });
    } catch (const nlohmann::json::exception&) {  // its text quotes the data
      throw DatabaseError("a journal entry holds text that is not UTF-8");
    }
  }
  return prepared;
}

Store::Store(const std::filesystem::path& file, const std::function<void(Entry)>& each)
    : file_(file),
      lock_(file),
      database_(open(file)),
      begin_(database_, "BEGIN IMMEDIATE"),
      commit_(database_, "COMMIT"),
      rollback_(database_, "ROLLBACK"),
      insert_entry_(database_,
                    "INSERT INTO entries (sequence, at, rotation, type, actor, data, previous_hash, hash) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
      update_head_(database_, "UPDATE head SET sequence = ?, hash = ?"),
      insert_seen_(database_, "INSERT OR IGNORE INTO seen (key, at) VALUES (?, ?)"),
      insert_box_(database_,
                  "INSERT INTO boxes (rotation, purpose, wrapped_key, ciphertext) VALUES (?, ?, ?, ?)"),
      delete_box_(database_, "DELETE FROM boxes WHERE rotation = ? AND purpose = ?"),
      select_box_(database_, "SELECT wrapped_key, ciphertext FROM boxes WHERE rotation = ? AND purpose = ?") {
  try {
    replay(each);
    forget_old_keys();
    scrub();  // a crash may have left destroyed boxes in the write-ahead log
  } catch (const SQLite::Exception& error) {
    throw DatabaseError(fmt::format("{} can't be read: {}", file.string(), error.what()));
  }
}

// The next page is read and checked on a thread of its own while `each` works on the one before. A page is
// handed on only when its entries hold.
void Store::replay(const std::function<void(Entry)>& each) {
  PageQueue pages;
  auto reading = std::async(std::launch::async, [&] {
    const CloseAtEnd close(pages);
    read_and_check(pages);
  });
  {
    const CloseAtEnd close(pages);  // when `each` throws, the reader stops
    while (auto page = pages.take()) {
      if (!each) continue;
      for (Entry& entry : *page) each(std::move(entry));
    }
  }
  reading.get();
}

void Store::read_and_check(PageQueue& pages) {
  const auto refuse_if = [this](const std::optional<ChainFault>& fault) {
    if (!fault) return;
    throw DatabaseError(
        fmt::format("{}: the journal was changed from outside: entry {}: {}. Keep the file as evidence and "
                    "restore a backup.",
                    file_.string(), fault->sequence, fault->what));
  };
  ChainCheck check;
  Page page;
  for_each_entry(database_, [&](Entry entry) {
    refuse_if(check.next(entry));
    page.push_back(std::move(entry));
    if (page.size() == kEntriesAPage) pages.put(std::exchange(page, {}));
  });
  refuse_if(check.finish(read_head(database_)));
  pages.put(std::move(page));
  head_ = check.head();
}

void Store::forget_old_keys() {
  SQLite::Statement forget(database_, "DELETE FROM seen WHERE at < ?");
  forget.bind(1, milliseconds(SystemClock().now() - kSeenFor));
  forget.exec();
}

std::vector<Outcome> Store::commit(const std::vector<PreparedBatch>& group) {
  std::vector<Outcome> outcomes;
  outcomes.reserve(group.size());
  if (group.size() > 1) {
    try {
      in_transaction([&] {
        for (const auto& batch : group) outcomes.push_back({.committed = apply(batch), .error = {}});
      });
      return outcomes;
    } catch (const std::exception&) {
      outcomes.clear();  // one of them is bad, or the disk is: each one's own transaction tells
    }
  }
  for (const auto& batch : group) outcomes.push_back(commit_alone(batch));
  return outcomes;
}

Outcome Store::commit_alone(const PreparedBatch& batch) {
  Outcome outcome;
  try {
    in_transaction([&] { outcome.committed = apply(batch); });
  } catch (const std::exception& error) {
    outcome.committed = {};
    outcome.error =
        fmt::format("{}: the commit failed, nothing was written: {}", file_.string(), error.what());
  }
  return outcome;
}

void Store::in_transaction(const std::function<void()>& work) {
  const ChainHead before = head_;
  try {
    run(begin_);
    work();
    if (head_.sequence != before.sequence) write_head();
    run(commit_);
  } catch (...) {
    head_ = before;
    try {
      run(rollback_);
    } catch (const SQLite::Exception&) {
      // After some errors (a full disk) SQLite has rolled back by itself, and says that there is nothing to
      // roll back.
    }
    throw;
  }
}

Committed Store::apply(const PreparedBatch& batch) {
  Committed committed;
  if (batch.once && !first_time(*batch.once)) {
    committed.duplicate = true;
    return committed;
  }
  committed.entries.reserve(batch.entries.size());
  for (const auto& entry : batch.entries) committed.entries.push_back(append(entry));
  for (const auto& box : batch.boxes) put_box(box);
  for (const auto& name : batch.destroyed) destroy_box(name);
  return committed;
}

Entry Store::append(Entry entry) {
  entry.sequence = head_.sequence + 1;
  entry.previous_hash = head_.hash;
  entry.hash = chain_hash(entry);
  run(insert_entry_, entry.sequence, milliseconds(entry.at), entry.rotation, entry.type, entry.actor,
      entry.data, entry.previous_hash, entry.hash);
  head_ = {.sequence = entry.sequence, .hash = entry.hash};
  return entry;
}

void Store::write_head() { run(update_head_, head_.sequence, head_.hash); }

bool Store::first_time(const std::string& key) {
  return run(insert_seen_, key, milliseconds(SystemClock().now())) > 0;
}

void Store::put_box(const NewBox& box) {
  destroy_box(box.name);
  run(insert_box_, box.name.rotation, box.name.purpose, Blob{box.box.wrapped_key}, Blob{box.box.ciphertext});
}

void Store::destroy_box(const BoxName& name) {
  if (run(delete_box_, name.rotation, name.purpose) > 0) scrub_due_ = true;
}

std::optional<SealedBox> Store::box(const BoxName& name) {
  const ResetAfterUse reset(select_box_);
  bind_all(select_box_, name.rotation, name.purpose);
  if (!select_box_.executeStep()) return std::nullopt;
  return SealedBox{
      .wrapped_key = select_box_.getColumn(0).getString(),
      .ciphertext = select_box_.getColumn(1).getString(),
  };
}

std::vector<Entry> Store::entries_of(const std::string& rotation) {
  std::vector<Entry> found;
  for_each_entry(database_, [&](Entry entry) { found.push_back(std::move(entry)); }, rotation);
  return found;
}

void Store::scrub() {
  scrub_due_ = true;
  database_.setBusyTimeout(0);  // a reader may hold the log for minutes; commits don't wait for it
  try {
    // One row: busy, frames in the log, frames written back.
    scrub_due_ = database_.execAndGet("PRAGMA wal_checkpoint(TRUNCATE)").getInt() != 0;
  } catch (const SQLite::Exception&) {
    // Still due: the writer tries again.
  }
  database_.setBusyTimeout(kBusyMilliseconds);
}

}  // namespace keyturn::storage::sqlite
