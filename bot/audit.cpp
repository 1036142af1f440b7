#include "bot/audit.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "storage/sqlite/database.h"

namespace keyturn::bot {

int audit_verify(const std::string& journal) {
  std::int64_t entries = 0;
  const auto fault = storage::sqlite::verify_chain(journal, entries);
  if (fault) {
    std::cout << "the chain is broken at entry " << fault->sequence << ": " << fault->what << '\n';
    return 1;
  }
  std::cout << entries << " entries, every hash holds\n";
  return 0;
}

int audit_export(const std::string& journal) {
  storage::sqlite::read_entries(journal, [](const storage::Entry& entry) {
    // ordered, so that a person finds the same field in the same place on every line
    nlohmann::ordered_json line = {{"sequence", entry.sequence},
                                   {"at", storage::to_iso8601(entry.at)},
                                   {"rotation", entry.rotation},
                                   {"action", entry.type},
                                   {"actor", entry.actor},
                                   {"context", nlohmann::ordered_json::parse(entry.data)},
                                   {"previous_hash", entry.previous_hash},
                                   {"hash", entry.hash}};
    std::cout << line.dump() << '\n';
  });
  return 0;
}

}  // namespace keyturn::bot
