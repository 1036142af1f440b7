// The journal seen from outside, without the lock: `keyturn audit` while the bot runs, or on a copy of the
// file.
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <limits>

#include "storage/chain_check.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/schema.h"

namespace keyturn::storage::sqlite {
namespace {

constexpr std::int64_t kBeforeEverything = std::numeric_limits<std::int64_t>::min();

// Runs `read` on a read-only connection, inside one transaction, so that all it sees is of one moment.
void with_snapshot(const std::filesystem::path& file, const std::function<void(SQLite::Database&)>& read) {
  if (!std::filesystem::exists(file))
    throw DatabaseError(fmt::format("there is no journal at {}", file.string()));
  try {
    SQLite::Database database(file.string(), SQLite::OPEN_READONLY, kBusyMilliseconds);
    require_schema(database, file);
    SQLite::Transaction snapshot(database);
    read(database);
  } catch (const SQLite::Exception& error) {
    throw DatabaseError(fmt::format("{} can't be read: {}", file.string(), error.what()));
  }
}

}  // namespace

void read_entries(const std::filesystem::path& file, const std::function<void(const Entry&)>& each) {
  with_snapshot(file, [&](SQLite::Database& database) {
    for_each_entry(database, kBeforeEverything, [&](const Entry& entry) { each(entry); });
  });
}

std::optional<ChainFault> verify_chain(const std::filesystem::path& file, std::int64_t& entries_read) {
  entries_read = 0;
  std::optional<ChainFault> fault;
  with_snapshot(file, [&](SQLite::Database& database) {
    ChainCheck check;
    for_each_entry(database, kBeforeEverything, [&](const Entry& entry) {
      ++entries_read;
      if (!fault) fault = check.next(entry);
    });
    if (!fault) fault = check.finish(read_head(database));
  });
  return fault;
}

}  // namespace keyturn::storage::sqlite
