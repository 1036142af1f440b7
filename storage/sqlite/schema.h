// The tables, and how a row becomes an Entry: what the writer and the read-only readers have in common.
// Thread: any, one at a time per connection. Failure: DatabaseError for what a person can mend (a newer
// schema, a file that is no journal), SQLite::Exception for the rest.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "storage/chain_check.h"
#include "storage/journal.h"

namespace keyturn::storage::sqlite {

// How long a reader and the writer wait for each other.
constexpr int kBusyMilliseconds = 5000;

// Creates the tables, or checks that they are of the version that this program knows.
void prepare_schema(SQLite::Database& database, const std::filesystem::path& file);

// Only checks.
void require_schema(SQLite::Database& database, const std::filesystem::path& file);

// Every entry there is, oldest first. With `rotation`, only those of that rotation.
void for_each_entry(SQLite::Database& database, const std::function<void(Entry)>& each,
                    const std::optional<std::string>& rotation = std::nullopt);

ChainHead read_head(SQLite::Database& database);

}  // namespace keyturn::storage::sqlite
