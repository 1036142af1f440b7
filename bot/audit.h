// `keyturn audit`: reads the journal, also while a bot is running on it. Prints to standard output.
#pragma once

#include <string>

namespace keyturn::bot {

// 0: the chain holds; 1: it doesn't, and the entry is named.
int audit_verify(const std::string& journal);

// One JSON object a line: sequence, at, rotation, action, actor, context, previous_hash, hash.
int audit_export(const std::string& journal);

}  // namespace keyturn::bot
