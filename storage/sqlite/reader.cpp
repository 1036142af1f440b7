// The journal seen from outside, without the lock: `keyturn audit` while the bot runs, or on a copy of the
// file.
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include "storage/chain_check.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/schema.h"

namespace keyturn::storage::sqlite {
namespace {

// "file:///var/lib/keyturn/journal.db?immutable=1" (sqlite.org/uri.html).
std::string immutable_uri(const std::filesystem::path& file) {
  std::string uri = "file://";
  for (const char c : std::filesystem::absolute(file).string()) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02x}", static_cast<unsigned>(c));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

bool in_use(const std::filesystem::path& file) { return std::filesystem::exists(file.string() + "-wal"); }

// A journal that nobody has open has no WAL, and SQLite would make one only to look: readers leave nothing
// behind, least of all files that belong to another user than the bot's.
SQLite::Database open_to_read(const std::filesystem::path& file, bool used) {
  if (used) return {file.string(), SQLite::OPEN_READONLY, kBusyMilliseconds};
  return {immutable_uri(file), SQLite::OPEN_READONLY | SQLite::OPEN_URI, kBusyMilliseconds};
}

// Runs `read` on a read-only connection, inside one transaction, so that all it sees is of one moment. With
// `used` false the file must not change meanwhile.
void read_once(const std::filesystem::path& file, bool used,
               const std::function<void(SQLite::Database&)>& read) {
  try {
    SQLite::Database database = open_to_read(file, used);
    require_schema(database, file);
    SQLite::Transaction snapshot(database);
    read(database);
  } catch (const SQLite::Exception& error) {
    throw DatabaseError(fmt::format("{} can't be read: {}", file.string(), error.what()));
  }
}

void require_file(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file))
    throw DatabaseError(fmt::format("there is no journal at {}", file.string()));
}

std::optional<ChainFault> follow_chain(const std::filesystem::path& file, bool used,
                                       std::int64_t& entries_read) {
  entries_read = 0;
  std::optional<ChainFault> fault;
  read_once(file, used, [&](SQLite::Database& database) {
    ChainCheck check;
    for_each_entry(database, [&](const Entry& entry) {
      ++entries_read;
      if (!fault) fault = check.next(entry);
    });
    if (!fault) fault = check.finish(read_head(database));
  });
  return fault;
}

}  // namespace

void read_entries(const std::filesystem::path& file, const EachEntry& each) {
  require_file(file);
  read_once(file, in_use(file), [&](SQLite::Database& database) { for_each_entry(database, each); });
}

void read_boxes(const std::filesystem::path& file, const std::function<void(const NewBox&)>& each) {
  require_file(file);
  read_once(file, in_use(file), [&](SQLite::Database& database) {
    SQLite::Statement rows(database, "SELECT rotation, purpose, wrapped_key, ciphertext FROM boxes");
    while (rows.executeStep()) {
      each({.name = {rows.getColumn(0).getString(), rows.getColumn(1).getString()},
            .box = {rows.getColumn(2).getString(), rows.getColumn(3).getString()}});
    }
  });
}

std::optional<ChainFault> verify_chain(const std::filesystem::path& file, std::int64_t& entries_read) {
  require_file(file);
  const bool used = in_use(file);
  auto fault = follow_chain(file, used, entries_read);
  // A bot that started meanwhile may have changed what this reader took for unchanging.
  if (fault && !used && in_use(file)) return follow_chain(file, /*used=*/true, entries_read);
  return fault;
}

}  // namespace keyturn::storage::sqlite
